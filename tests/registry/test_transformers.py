"""Image classifiers that were logged with mlflow.transformers."""

import json
from pathlib import Path
from typing import Any

import mlflow
import pytest
import torch
from mlflow import MlflowClient
from transformers import (
    PreTrainedModel,
    ResNetConfig,
    ResNetForImageClassification,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
    pipeline,
)

from case_monitor.dataset import preprocessing_of
from case_monitor.domain.errors import ModelError
from case_monitor.domain.isolation import Isolation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.protocol import Protocol
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.isolation.load_model import load_model
from case_monitor.registry import model_metadata
from case_monitor.registry.artifact import Trust
from case_monitor.registry.client import Registry
from case_monitor.registry.loading import _description, fetch
from case_monitor.registry.pretrained import labels_of

NAMES = {0: "cat", 1: "dog", 2: "eel"}
PROCESSOR = ViTImageProcessor(size={"height": 32, "width": 32})


def _vit(**more: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    return ViTForImageClassification(ViTConfig(**sizes, image_size=32, patch_size=8, **more)).eval()


def _resnet(**more: Any) -> PreTrainedModel:
    torch.manual_seed(0)
    return ResNetForImageClassification(
        ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1], layer_type="basic", **more)
    ).eval()


@pytest.fixture
def log(sqlite_tracking: str, tmp_path: Path) -> Any:
    """Register a pipeline, with its metadata; gives the number of the version."""

    def log(model: PreTrainedModel, task: str = "image-classification", **arguments: Any) -> int:
        client = MlflowClient(sqlite_tracking)
        group = client.create_experiment(str(tmp_path), artifact_location=(tmp_path / "t").as_uri())
        with mlflow.start_run(experiment_id=group):
            info = mlflow.transformers.log_model(
                pipeline(task, model=model, image_processor=PROCESSOR),
                name="model",
                registered_model_name="pets",
                pip_requirements=["torch"],
                **arguments,
            )
        return int(info.registered_model_version)

    return log


@pytest.mark.parametrize("make", [_vit, _resnet])
def test_it_is_fetched_named_and_predicts_as_it_did(make: Any, log: Any, sqlite_tracking: str) -> None:
    network = make(id2label=NAMES)
    version = log(network, metadata=model_metadata(preprocessing=preprocessing_of(PROCESSOR)))
    fetched = fetch(Registry(sqlite_tracking), "pets", version)
    assert fetched.class_names == ("cat", "dog", "eel")
    assert fetched.preprocessing == preprocessing_of(PROCESSOR)
    assert fetched.input_shape is None
    images = torch.rand(4, 3, 32, 32)
    model = ConfinedModel(fetched.files, Protocol(), "cpu", Isolation())
    try:
        found = model.survey(images, "auto")
        [answers] = model.predict(images, iter([images]), found.layer)
    finally:
        model.end()
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(answers.logits), network(images).logits)


def test_names_that_were_logged_come_before_its_own(log: Any, sqlite_tracking: str) -> None:
    names = ("Katze", "Hund", "Aal")
    version = log(_vit(id2label=NAMES), metadata=model_metadata(class_names=names))
    assert fetch(Registry(sqlite_tracking), "pets", version).class_names == names


def test_labels_that_are_numbers_name_no_class(log: Any, sqlite_tracking: str) -> None:
    assert fetch(Registry(sqlite_tracking), "pets", log(_vit(num_labels=3))).class_names is None


def test_pickles_refused_means_these_too(log: Any, sqlite_tracking: str) -> None:
    version = log(_vit(id2label=NAMES))
    with pytest.raises(ModelError, match=r"was not loaded: .*serialization_format='pt2'"):
        fetch(Registry(sqlite_tracking), "pets", version, Trust(pickles="refused"))


def test_another_task_is_refused(log: Any, sqlite_tracking: str) -> None:
    version = log(_vit(), task="image-feature-extraction")
    with pytest.raises(
        ModelError, match=r"the task image-classification was expected .*'image-feature-extraction' came"
    ):
        fetch(Registry(sqlite_tracking), "pets", version)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id2label": {"0": "cat", "2": "eel"}}', r"classes 0, 1, 2, \.\.\. were expected, \[0, 2\] came"),
        ('{"id2label": {"zero": "cat"}}', "config.json cannot be read"),
        ('{"id2label": ["cat"]}', "config.json cannot be read"),
        ("[]", "config.json cannot be read"),
        ("{", "config.json cannot be read"),
        ("[" * 100_000, "config.json cannot be read"),
        ("\udcff", "config.json cannot be read"),
        (None, "config.json cannot be read"),
    ],
)
def test_a_configuration_that_makes_no_sense(tmp_path: Path, text: str | None, message: str) -> None:
    config = tmp_path / "config.json"
    if text is not None:
        config.write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ModelError, match=f"^model pets/1: .*{message}") as caught:
        labels_of(config, "model pets/1")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("said", [{}, {"id2label": None}, {"id2label": {"0": "LABEL_0", "1": "LABEL_1"}}])
def test_a_configuration_without_names(tmp_path: Path, said: dict[str, object]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(said))
    assert labels_of(tmp_path / "config.json", "model pets/1") is None


def test_labels_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    said = {"id2label": {str(number): f"class {number}" for number in (10, 2, 1, 0, *range(3, 10))}}
    (tmp_path / "config.json").write_text(json.dumps(said))
    assert labels_of(tmp_path / "config.json", "model pets/1") == tuple(f"class {number}" for number in range(11))


def test_code_beside_the_weights_does_not_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    folder = _saved(tmp_path / "model", {"auto_map": {"AutoModelForImageClassification": "own.Own"}, "model_type": "x"})
    (folder / "own.py").write_text(f"open({str(ran)!r}, 'w')")
    with pytest.raises(ValueError, match=r"model type|trust_remote_code"):
        load_model(folder, tmp_path / "code", "model pets/1")
    assert not ran.exists()


class _OwnHead(ViTForImageClassification):
    """As people write it: a layer more in the place of the head."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__(config)
        self.classifier = torch.nn.Sequential(torch.nn.Linear(24, 12), torch.nn.ReLU(), torch.nn.Linear(12, 3))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"num_hidden_layers": 3}, r"the weights of a ViTForImageClassification were expected, those that came lack"),
        ({"num_hidden_layers": 1}, r".* those that came have besides"),
        ({"model_type": "deit"}, r"the weights of a DeiTForImageClassification were expected, those that came lack"),
    ],
)
def test_weights_that_do_not_fit_are_not_filled_up(tmp_path: Path, change: dict[str, object], words: str) -> None:
    """They would be random, and others at each load."""
    folder = _saved(tmp_path / "model", change)
    with pytest.raises(ModelError, match=f"^model pets/1: {words}") as caught:
        load_model(folder, tmp_path / "code", "model pets/1")
    assert "\n" not in str(caught.value)


def test_a_head_of_ones_own_is_not_taken_for_the_usual_one(log: Any, sqlite_tracking: str) -> None:
    torch.manual_seed(0)
    sizes = {"hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 48}
    version = log(_OwnHead(ViTConfig(**sizes, image_size=32, patch_size=8, num_labels=3)).eval())
    model = ConfinedModel(fetch(Registry(sqlite_tracking), "pets", version).files, Protocol(), "cpu", Isolation())
    try:
        with pytest.raises(ModelError, match=r"lack \['classifier\..*log a network with layers of its own"):
            model.load()
    finally:
        model.end()


def test_two_orders_of_the_same_names_are_refused(log: Any, sqlite_tracking: str) -> None:
    version = log(_vit(id2label=NAMES), metadata=model_metadata(class_names=("dog", "cat", "eel")))
    with pytest.raises(ModelError, match="class 0 is 'dog' by its metadata, and 'cat' by id2label"):
        fetch(Registry(sqlite_tracking), "pets", version)


@pytest.mark.parametrize("other", ["model.pth", "model.pt2"])
def test_files_of_two_kinds_are_refused(tmp_path: Path, other: str) -> None:
    """Whoever serves the version loads one of them, and the other might be judged."""
    folder = _saved(tmp_path / "model", {})
    (folder / other).write_bytes(b"another network")
    with pytest.raises(ModelError, match=rf"^model pets/1: files of one kind .*{other} and config\.json came$"):
        load_model(folder, tmp_path / "code", "model pets/1")


def _flavours(folder: Path, **changes: Any) -> Any:
    """A description as MLflow writes it."""
    folder.mkdir()
    flavours: dict[str, Any] = {"transformers": {"task": "image-classification", "model_binary": "model"}} | changes
    (folder / "MLmodel").write_text(json.dumps({"flavors": flavours}))
    return _description(folder, ModelVersion(name="pets", version=1, run_id=None, digest=""))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"pytorch": {"model_data": "data"}}, "one of the flavours pytorch and transformers was expected, both came"),
        (
            {"transformers": {"task": "image-classification", "model_binary": "model", "peft_adaptor": "peft"}},
            "adapter",
        ),
        (
            {"transformers": {"task": "image-classification", "source_model_name": "a/b"}},
            "reference to a model hub came",
        ),
    ],
)
def test_a_version_that_may_be_another_network_is_refused(tmp_path: Path, changes: Any, message: str) -> None:
    assert _flavours(tmp_path / "as usual").flavors["transformers"]["model_binary"] == "model"
    with pytest.raises(ModelError, match=message):
        _flavours(tmp_path / "changed", **changes)


def test_who_has_no_transformers_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _saved(tmp_path / "model", {})
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        ModelError, match=r"model pets/1 was logged with mlflow\.transformers: .*pip install transformers"
    ):
        load_model(folder, tmp_path / "code", "model pets/1")


def _saved(folder: Path, change: dict[str, object]) -> Path:
    _vit(id2label=NAMES).save_pretrained(folder)
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))
    return folder
