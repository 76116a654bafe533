"""The MLflow registry: found, loaded and described on a SQLite file and over HTTP, and every failure in one line."""

import importlib
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import mlflow
import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from mlflow.models import ModelSignature
from mlflow.types import Schema, TensorSpec
from torch import nn

from case_monitor.domain.errors import ConfigError, ModelError, NotFoundError, RegistryError
from case_monitor.domain.isolation import Isolation
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.protocol import Protocol
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.measuring.device import pick_device
from case_monitor.measuring.measured_model import At, ToDraw
from case_monitor.registry import model_metadata
from case_monitor.registry.client import Registry
from case_monitor.registry.digest import digest_directory
from case_monitor.registry.loading import RegisteredModel, fetch
from case_monitor.saliency import saliency_maps
from case_monitor.settings import Preprocessing
from tests.support.mlflow_registries import MlflowServer
from tests.support.servers import free_port

LogVersion = Callable[..., int]
T = TypeVar("T")
ROOT = Path(__file__).parents[2]
NETWORK = """
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        nn.init.ones_(self.conv.weight)

    def forward(self, x):
        return self.conv(x).mean((2, 3)) * {factor}
"""
ISOLATION = Isolation(readable=(ROOT,))


def measured_by(fetched: RegisteredModel, run: Callable[[ConfinedModel], T]) -> T:
    """What a version answers, in a process of its own."""
    model = ConfinedModel(fetched.files, Protocol(), "cpu", ISOLATION)
    try:
        return run(model)
    finally:
        model.end()


def logits(fetched: RegisteredModel, layer: str, images: torch.Tensor) -> torch.Tensor:
    return measured_by(
        fetched, lambda model: torch.from_numpy(next(model.predict(images, iter([images]), layer)).logits)
    )


def factor_of(fetched: RegisteredModel) -> float:
    """Of a `Network`."""
    [[first, second]] = logits(fetched, "conv", torch.ones(1, 1, 4, 4)).tolist()
    assert first == second
    return first


def load(fetched: RegisteredModel) -> None:
    measured_by(fetched, ConfinedModel.load)


def classifier() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))


class Ending(nn.Linear):
    """Raises while it is loaded."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(1, 1)
        self.error = error

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise state["error"]


def signature(*shape: int) -> ModelSignature:
    image, logits = np.dtype(np.float32), np.dtype(np.float32)
    return ModelSignature(Schema([TensorSpec(image, shape)]), Schema([TensorSpec(logits, (-1, 2))]))


@contextmanager
def module_written(folder: Path, name: str, text: str) -> Iterator[Any]:
    """A module that can be imported inside the block only."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.py").write_text(text)
    sys.path.insert(0, str(folder))
    importlib.invalidate_caches()
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(name)


def files_of(uri: str, name: str, version: int) -> Path:
    """Where a version's files are, without a server between."""
    return Path(MlflowClient(uri).get_model_version_download_uri(name, str(version)).removeprefix("file://"))


def assert_one_line(error: BaseException, *words: str) -> None:
    text = str(error)
    assert "\n" not in text
    assert len(text) < 500
    for word in words:
        assert word in text


class TestModelRef:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("digits/3", ModelRef("digits", version=3)),
            ("digits@champion", ModelRef("digits", alias="champion")),
            ("models:/digits/3", ModelRef("digits", version=3)),
            ("models:/digits@champion", ModelRef("digits", alias="champion")),
            ("my team/digits/12", ModelRef("my team/digits", version=12)),
            ("catalog.schema.digits/1", ModelRef("catalog.schema.digits", version=1)),
            ("me@work@champion", ModelRef("me@work", alias="champion")),
            ("me@work/3", ModelRef("me@work", version=3)),
        ],
    )
    def test_a_reference_is_read(self, text: str, expected: ModelRef) -> None:
        assert ModelRef.parse(text) == expected

    @pytest.mark.parametrize("text", ["", "digits", "digits/", "/3", "digits/latest", "digits/-1", "digits@", "@live"])
    def test_anything_else_is_an_error(self, text: str) -> None:
        with pytest.raises(ConfigError, match=r"^model: name/<version> or name@<alias> was expected, "):
            ModelRef.parse(text)

    def test_the_greatest_number(self) -> None:
        assert ModelRef.parse("digits/2147483647").version == 2**31 - 1

    @pytest.mark.parametrize(
        ("version", "came"),
        [
            ("0", "0 came"),
            ("2147483648", "2147483648 came"),
            ("1" + "0" * 30, "a number of 31 digits came"),
            ("1" * 10_000, "a number of 10000 digits came"),  # which int() would refuse with an error of its own
        ],
    )
    def test_a_number_that_no_version_has(self, version: str, came: str) -> None:
        with pytest.raises(ConfigError) as refused:
            ModelRef.parse(f"digits/{version}")
        assert str(refused.value) == f"model: a version from 1 to 2147483647 was expected, {came}"

    @pytest.mark.parametrize("text", ["digits/3", "digits@champion"])
    def test_it_is_printed_as_it_is_typed(self, text: str) -> None:
        assert str(ModelRef.parse(text)) == text


@pytest.fixture(params=["sqlite", "http"])
def uri(request: pytest.FixtureRequest, mlflow_globals: None) -> str:
    if request.param == "http":
        return str(request.getfixturevalue("mlflow_server").uri)
    return str(request.getfixturevalue("mlflow_database"))


@pytest.fixture
def digits(uri: str, log_version: LogVersion) -> int:
    """A version of the model "digits" that can be loaded."""
    return log_version(uri, "digits", classifier())


class TestLookUp:
    def test_by_version_and_by_alias(self, uri: str, digits: int) -> None:
        registry = Registry(uri)
        registry.set_alias("digits", "live", digits)
        assert registry.resolve(ModelRef("digits", version=digits)) == digits
        assert registry.resolve(ModelRef("digits", alias="live")) == digits
        assert registry.has_version(ModelRef("digits", alias="live"))

    @pytest.mark.parametrize("text", ["nothing/1", "digits/999", "nothing@live", "digits@nobody"])
    def test_what_is_not_there_is_said_in_one_line(self, uri: str, digits: int, text: str) -> None:
        ref = ModelRef.parse(text)
        assert not Registry(uri).has_version(ref)
        with pytest.raises(NotFoundError) as caught:
            Registry(uri).resolve(ref)
        assert_one_line(caught.value, f"model {text}: ", "not found")

    def test_fetching_what_is_not_there(self, uri: str, digits: int) -> None:
        with pytest.raises(NotFoundError, match=r"^model digits/999: .*not found"):
            fetch(Registry(uri), "digits", 999)

    def test_the_alias_moves(self, uri: str, log_version: LogVersion) -> None:
        registry = Registry(uri)
        versions = [log_version(uri, "moved", classifier()) for _ in range(2)]
        assert registry.alias_holder("moved", "champion") is None
        for version in versions:
            registry.set_alias("moved", "champion", version)
            assert registry.alias_holder("moved", "champion") == version

    def test_an_alias_of_an_unknown_model(self, uri: str) -> None:
        with pytest.raises(NotFoundError, match=r"^model nothing: "):
            Registry(uri).alias_holder("nothing", "champion")
        with pytest.raises(NotFoundError, match=r"^alias champion of model nothing: "):
            Registry(uri).set_alias("nothing", "champion", 1)

    def test_tags_are_set(self, uri: str, digits: int) -> None:
        Registry(uri).set_tags("digits", digits, {"case_monitor.verdict": "pass", "note": "<b>\u00e4 'quoted'"})
        tags = MlflowClient(uri).get_model_version("digits", str(digits)).tags
        assert tags["case_monitor.verdict"] == "pass"
        assert tags["note"] == "<b>\u00e4 'quoted'"

    def test_a_tag_that_was_lost_on_the_way_is_seen(
        self, uri: str, digits: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A proxy says 200 and sets nothing."""
        monkeypatch.setattr(MlflowClient, "set_model_version_tag", lambda *_: None)
        with pytest.raises(RegistryError, match=rf"^tags of model digits/{digits}: .*, and lost are not there"):
            Registry(uri).set_tags("digits", digits, {"lost": "pass"})

    def test_tags_of_an_unknown_version(self, uri: str, digits: int) -> None:
        with pytest.raises(NotFoundError, match=r"^tags of model digits/999: "):
            Registry(uri).set_tags("digits", 999, {"a": "b"})


class TestUnreachable:
    def test_a_dead_server_is_reported_soon(self, mlflow_globals: None) -> None:
        started = time.monotonic()
        with pytest.raises(RegistryError) as caught:
            Registry(f"http://127.0.0.1:{free_port()}").resolve(ModelRef("digits", version=1))
        assert time.monotonic() - started < 20
        assert not isinstance(caught.value, NotFoundError)  # it may come back
        assert_one_line(caught.value, "model digits/1: ", "127.0.0.1")

    @pytest.mark.parametrize("password", ["hunter2", "hun@ter2"])
    def test_credentials_are_not_shown(
        self, mlflow_globals: None, monkeypatch: pytest.MonkeyPatch, password: str
    ) -> None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        with pytest.raises(RegistryError) as caught:
            Registry(f"http://me:{password}@127.0.0.1:{free_port()}").resolve(ModelRef("digits", version=1))
        assert_one_line(caught.value, "://***@127.0.0.1")
        assert "ter2" not in str(caught.value)

    def test_credentials_are_not_shown_where_the_scheme_is_wrong(self, mlflow_globals: None) -> None:
        with pytest.raises(RegistryError) as caught:
            Registry("ftp://me:hunter2@host/").resolve(ModelRef("digits", version=1))
        assert_one_line(caught.value, "ftp://***@host/")
        assert "hunter2" not in str(caught.value)

    def test_a_file_that_is_no_database(self, mlflow_globals: None, tmp_path: Path) -> None:
        (tmp_path / "mlflow.db").write_bytes(b"no database" * 100)
        with pytest.raises(RegistryError) as caught:
            Registry(f"sqlite:///{tmp_path / 'mlflow.db'}").resolve(ModelRef("digits", version=1))
        assert_one_line(caught.value, "file is not a database")

    def test_artifacts_that_are_gone(self, mlflow_database: str, log_version: LogVersion) -> None:
        version = log_version(mlflow_database, "gone", classifier())
        shutil.rmtree(files_of(mlflow_database, "gone", version))
        with pytest.raises(RegistryError) as caught:
            fetch(Registry(mlflow_database), "gone", version)
        assert_one_line(caught.value, f"model gone/{version}: ")


class TestLoading:
    def test_a_pickled_model_gives_its_own_results(self, uri: str, log_version: LogVersion) -> None:
        model = classifier().eval()
        version = log_version(uri, "digits", model)
        fetched = fetch(Registry(uri), "digits", version)
        images = torch.rand(2, 3, 8, 8)
        torch.testing.assert_close(logits(fetched, "1", images), model(images))
        assert (fetched.version.name, fetched.version.version) == ("digits", version)
        assert MlflowClient(uri).get_run(str(fetched.version.run_id)).info.status == "FINISHED"

    def test_a_name_with_an_at_sign_can_be_fetched(self, uri: str, log_version: LogVersion) -> None:
        version = log_version(uri, "digits@home", nn.Linear(1, 1))
        ref = ModelRef.parse(f"digits@home/{version}")
        assert fetch(Registry(uri), ref.name, Registry(uri).resolve(ref)).version.name == "digits@home"

    def test_the_registry_can_be_another_server_than_the_tracking(
        self, mlflow_server: MlflowServer, log_version: LogVersion, tmp_path: Path
    ) -> None:
        version = log_version(mlflow_server.uri, "remote", nn.Linear(1, 1))
        registry = Registry(f"http://127.0.0.1:{free_port()}", mlflow_server.uri)
        assert registry.resolve(ModelRef("remote", version=version)) == version
        assert fetch(registry, "remote", version).version.version == version

    def test_code_logged_with_the_model_is_used_and_forgotten(
        self, mlflow_database: str, log_version: LogVersion, tmp_path: Path
    ) -> None:
        with module_written(tmp_path, "shipped", NETWORK.format(factor=3)) as shipped:
            code = [str(tmp_path / "shipped.py")]
            version = log_version(mlflow_database, "coded", shipped.Network(), code_paths=code)
        assert importlib.util.find_spec("shipped") is None
        path, modules = list(sys.path), dict(sys.modules)
        assert factor_of(fetch(Registry(mlflow_database), "coded", version)) == 3
        assert sys.path == path
        assert "shipped" not in sys.modules
        assert all(sys.modules[name] is module for name, module in modules.items())

    def test_two_versions_keep_their_own_code_under_one_name(
        self, mlflow_database: str, log_version: LogVersion, tmp_path: Path
    ) -> None:
        versions = []
        for factor in (3, 5):
            with module_written(tmp_path / str(factor), "shipped", NETWORK.format(factor=factor)) as shipped:
                code = [str(tmp_path / str(factor) / "shipped.py")]
                versions.append(log_version(mlflow_database, "twice", shipped.Network(), code_paths=code))
        fetched = [fetch(Registry(mlflow_database), "twice", version) for version in versions]
        assert [factor_of(version) for version in fetched] == [3, 5]

    def test_a_module_imported_here_does_not_replace_the_models_own(
        self, mlflow_database: str, log_version: LogVersion, tmp_path: Path
    ) -> None:
        with module_written(tmp_path / "a", "shipped", NETWORK.format(factor=3)) as shipped:
            code = [str(tmp_path / "a" / "shipped.py")]
            version = log_version(mlflow_database, "shadowed", shipped.Network(), code_paths=code)
        with module_written(tmp_path / "b", "shipped", NETWORK.format(factor=7)) as ours:
            assert factor_of(fetch(Registry(mlflow_database), "shadowed", version)) == 3
            assert sys.modules["shipped"] is ours

    def test_packages_with_and_without_an_init_file_are_forgotten(
        self, mlflow_database: str, log_version: LogVersion, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for package in ("shipped_plain", "shipped_regular"):
            (tmp_path / package).mkdir()
            (tmp_path / package / "network.py").write_text(NETWORK.format(factor=4))
        (tmp_path / "shipped_regular" / "__init__.py").touch()
        versions = []
        with monkeypatch.context() as patch:
            patch.syspath_prepend(tmp_path)
            for package in ("shipped_plain", "shipped_regular"):
                network = importlib.import_module(f"{package}.network").Network()
                code = [str(tmp_path / package)]
                versions.append(log_version(mlflow_database, "packaged", network, code_paths=code))
        for name in [name for name in sys.modules if name.startswith("shipped_")]:
            del sys.modules[name]
        for version in versions:
            assert factor_of(fetch(Registry(mlflow_database), "packaged", version)) == 4
        assert not [name for name in sys.modules if name.startswith("shipped_")]

    def test_code_that_does_not_run_is_a_model_error(
        self, mlflow_database: str, log_version: LogVersion, tmp_path: Path
    ) -> None:
        with module_written(tmp_path, "shipped", NETWORK.format(factor=3)) as shipped:
            (tmp_path / "shipped.py").write_text("raise RuntimeError('no\\nluck')")
            version = log_version(
                mlflow_database, "broken", shipped.Network(), code_paths=[str(tmp_path / "shipped.py")]
            )
        path = list(sys.path)
        with pytest.raises(ModelError) as caught:
            load(fetch(Registry(mlflow_database), "broken", version))
        assert_one_line(caught.value, f"model broken/{version} does not load: RuntimeError: no luck")
        assert sys.path == path
        assert "shipped" not in sys.modules

    @pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt(), GeneratorExit()], ids=repr)
    def test_a_model_that_ends_the_program_while_it_loads(
        self, mlflow_database: str, log_version: LogVersion, error: BaseException
    ) -> None:
        version = log_version(mlflow_database, "ending", Ending(error))
        with pytest.raises(ModelError) as caught:
            load(fetch(Registry(mlflow_database), "ending", version))
        assert_one_line(caught.value, f"model ending/{version} ended the program: {type(error).__name__}(")

    def test_code_logged_with_a_model_that_ends_the_program(
        self, mlflow_database: str, log_version: LogVersion, tmp_path: Path
    ) -> None:
        with module_written(tmp_path, "shipped", NETWORK.format(factor=3)) as shipped:
            (tmp_path / "shipped.py").write_text("import sys; sys.exit()")
            code = [str(tmp_path / "shipped.py")]
            version = log_version(mlflow_database, "ending", shipped.Network(), code_paths=code)
        with pytest.raises(ModelError, match=rf"^model ending/{version} ended the program: SystemExit\(\)$"):
            load(fetch(Registry(mlflow_database), "ending", version))

    def test_pickles_can_be_forbidden(
        self, mlflow_database: str, log_version: LogVersion, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        version = log_version(mlflow_database, "digits", classifier())
        monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        with pytest.raises(ModelError) as caught:
            fetch(Registry(mlflow_database), "digits", version)
        assert_one_line(caught.value, f"model digits/{version} was not loaded: ", "model.pth", "'pt2'")

    def test_an_exported_graph_loads_where_pickles_are_forbidden_and_can_be_explained(
        self, mlflow_database: str, log_version: LogVersion, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = classifier().eval()
        example = np.zeros((2, 3, 8, 8), np.float32)
        version = log_version(mlflow_database, "exported", model, serialization_format="pt2", input_example=example)
        monkeypatch.setenv("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
        fetched = fetch(Registry(mlflow_database), "exported", version)
        images, targets = torch.rand(3, 3, 8, 8), torch.tensor([[0, 1]] * 3)
        expected = saliency_maps(
            model, images, targets, target_layer="1", methods=("case", "gradcam"), size="layer", batch_size=3
        )
        at, asked = At(layer="1", contrast=None, batch_size=3), [ToDraw(images=images, classes=targets)]
        came = measured_by(fetched, lambda model: next(model.draw(iter(asked), at, ("case", "gradcam"))))
        torch.testing.assert_close(came, expected)
        assert fetched.input_shape == (3, 8, 8)

    def test_a_model_of_another_flavour_is_an_error(self, sqlite_tracking: str, tmp_path: Path) -> None:
        from sklearn.dummy import DummyClassifier

        model = DummyClassifier().fit([[0.0], [1.0]], [0, 1])
        experiment = MlflowClient(sqlite_tracking).create_experiment("sklearn", artifact_location=tmp_path.as_uri())
        with mlflow.start_run(experiment_id=experiment):
            info = mlflow.sklearn.log_model(
                model, name="model", registered_model_name="other", pip_requirements=[], serialization_format="pickle"
            )
        with pytest.raises(ModelError, match=r"^model other/1: a PyTorch model was expected, .*sklearn.* came; log"):
            fetch(Registry(sqlite_tracking), "other", int(info.registered_model_version))

    def test_a_version_that_is_no_model_is_an_error(self, sqlite_tracking: str, tmp_path: Path) -> None:
        (tmp_path / "files").mkdir()
        (tmp_path / "files" / "readme.txt").write_text("no model")
        client = MlflowClient(sqlite_tracking)
        client.create_registered_model("empty")
        client.create_model_version("empty", (tmp_path / "files").as_uri())
        with pytest.raises(ModelError, match=r"^model empty/1: its MLmodel file cannot be read: "):
            fetch(Registry(sqlite_tracking), "empty", 1)


class TestMetadata:
    def test_what_was_logged_comes_back(self, uri: str, log_version: LogVersion) -> None:
        preprocessing = Preprocessing(resize=9, crop=8, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6))
        names = ("no", "7", "<b>", "\u00e4\u00f6")
        metadata = model_metadata(class_names=names, preprocessing=preprocessing, target_layer="1")
        version = log_version(uri, "described", classifier(), metadata=metadata, signature=signature(-1, 3, -1, 8))
        fetched = fetch(Registry(uri), "described", version)
        assert (fetched.class_names, fetched.preprocessing) == (names, preprocessing)
        assert (fetched.target_layer, fetched.input_shape) == ("1", (3, -1, 8))

    def test_without_metadata_everything_is_none(self, mlflow_database: str, log_version: LogVersion) -> None:
        version = log_version(mlflow_database, "digits", classifier(), metadata={"owner": "me"})
        fetched = fetch(Registry(mlflow_database), "digits", version)
        came = (fetched.class_names, fetched.preprocessing, fetched.target_layer, fetched.input_shape)
        assert came == (None, None, None, None)

    def test_a_signature_of_another_shape_says_nothing_of_images(
        self, mlflow_database: str, log_version: LogVersion
    ) -> None:
        version = log_version(mlflow_database, "digits", classifier(), signature=signature(-1, 5))
        assert fetch(Registry(mlflow_database), "digits", version).input_shape is None

    @pytest.mark.parametrize(
        ("metadata", "field"),
        [
            ("text", "case_monitor"),
            ({"class_names": "abc"}, r"case_monitor\.class_names"),
            ({"class_names": {"a": 1}}, r"case_monitor\.class_names"),
            ({"class_name": ["a"]}, r"case_monitor\.class_name"),
            ({"preprocessing": "imagenet"}, r"case_monitor\.preprocessing"),
            ({"preprocessing": {"mean": [0.5]}}, r"case_monitor\.preprocessing"),
            ({"preprocessing": {"crop": -1}}, r"case_monitor\.preprocessing\.crop"),
            ({"target_layer": ["a", "b"]}, r"case_monitor\.target_layer"),
        ],
    )
    def test_malformed_metadata_is_named(
        self, mlflow_database: str, log_version: LogVersion, metadata: object, field: str
    ) -> None:
        version = log_version(mlflow_database, "odd", nn.Linear(1, 1), metadata={"case_monitor": metadata})
        with pytest.raises(ModelError, match=rf"^model odd/{version}: its metadata {field}: .*$"):
            fetch(Registry(mlflow_database), "odd", version)

    def test_wrong_preprocessing_is_refused_when_it_is_logged(self) -> None:
        with pytest.raises(ValueError, match="std"):
            model_metadata(preprocessing={"mean": [0.5]})


class TestDigest:
    def test_every_download_has_the_same_digest(self, uri: str, digits: int) -> None:
        first, second = (fetch(Registry(uri), "digits", digits).version.digest for _ in range(2))
        assert first == second
        assert len(first) == 64

    def test_the_server_and_its_database_give_the_same_digest(
        self, mlflow_server: MlflowServer, log_version: LogVersion
    ) -> None:
        version = log_version(mlflow_server.database_uri, "both", classifier())
        over_http = fetch(Registry(mlflow_server.uri), "both", version).version
        assert over_http == fetch(Registry(mlflow_server.database_uri), "both", version).version

    def test_a_changed_artifact_has_another_digest(self, mlflow_database: str, log_version: LogVersion) -> None:
        version = log_version(mlflow_database, "changed", classifier())
        registry = Registry(mlflow_database)
        before = fetch(registry, "changed", version).version.digest
        torch.save(classifier(), files_of(mlflow_database, "changed", version) / "data" / "model.pth")
        assert fetch(registry, "changed", version).version.digest != before

    def test_names_count_and_leftovers_do_not(self, tmp_path: Path) -> None:
        def written(place: str, **files: str) -> str:
            for name, text in files.items():
                file = tmp_path / place / name.replace("__", "/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text)
            (tmp_path / place / "code" / "__pycache__").mkdir(parents=True)
            (tmp_path / place / "code" / "__pycache__" / "x.pyc").write_text(place)
            (tmp_path / place / "registered_model_meta").write_text(place)
            return digest_directory(tmp_path / place)

        assert written("a", x="1", sub__y="2") == written("b", x="1", sub__y="2")
        assert written("c", x="1", sub__z="2") != digest_directory(tmp_path / "a")
        assert written("d", x="2", sub__y="1") != digest_directory(tmp_path / "a")

    def test_nothing_that_it_does_not_count_is_loaded(self, mlflow_database: str, log_version: LogVersion) -> None:
        version = log_version(mlflow_database, "hiding", classifier())
        registry = Registry(mlflow_database)
        before = fetch(registry, "hiding", version)
        for hidden in ("__pycache__", "data/__pycache__/more", "data/registered_model_meta"):
            place = files_of(mlflow_database, "hiding", version) / hidden
            place.mkdir(parents=True)
            (place / "hidden.py").write_text("print('other code under the same digest')")
        after = fetch(registry, "hiding", version)
        assert after.version.digest == before.version.digest
        assert not list(after.files.path.rglob("hidden.py"))
        assert (after.files.path / "data" / "model.pth").exists()

    def test_folders_outside_of_its_own_are_not_its(
        self, mlflow_database: str, log_version: LogVersion, tmp_path: Path
    ) -> None:
        version = log_version(mlflow_database, "elsewhere", classifier())
        file = files_of(mlflow_database, "elsewhere", version) / "MLmodel"
        file.write_text(file.read_text().replace("model_data: data", f"model_data: {tmp_path}"))
        with pytest.raises(
            ModelError, match=f"^model elsewhere/{version}: model_data in its MLmodel file: a path among"
        ):
            fetch(Registry(mlflow_database), "elsewhere", version)


class TestDevice:
    def test_auto_takes_what_is_there(self) -> None:
        assert pick_device("auto") == ("cuda" if torch.cuda.is_available() else "cpu")

    def test_what_was_asked_for_is_kept(self) -> None:
        assert pick_device("cpu") == "cpu"

    @pytest.mark.parametrize("device", ["gpu", "cuda:99", "", "cpu cpu"])
    def test_a_device_that_is_not_there_is_an_error(self, device: str) -> None:
        with pytest.raises(ConfigError) as caught:
            pick_device(device)
        assert_one_line(caught.value, f"device: {device!r} cannot be used")


def test_a_registry_leaves_the_users_own_http_settings(mlflow_globals: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "6")
    Registry("http://127.0.0.1:9")
    assert os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] == "6"
