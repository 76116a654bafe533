"""Hostile and clumsy versions, each through `case-monitor gate` as a process; the table is in the documents."""

import copy
import functools
import json
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from mlflow.tracking import MlflowClient
from torch import nn

from case_monitor.demo.digits import CLASS_NAMES
from case_monitor.isolation.confine.level import Level, available
from case_monitor.registry import model_metadata
from tests.integration.conftest import Demo
from tests.support import specimens
from tests.support.forked_commands import Forked

DEMO_LOOK = {"mean": [0.3], "std": [0.35]}
REVERSED = tuple(reversed(range(10)))
TABLE = Path(__file__).parents[2] / "docs" / "guarantees.md"
HEADER = ["| version | what is wrong with it | expected | seen | said |", "| --- | --- | --- | --- | --- |"]


@dataclass(frozen=True)
class Place:
    """Where one version is gated: a registry, a database and a configuration of its own."""

    directory: Path
    uri: str
    split: Path

    @property
    def client(self) -> MlflowClient:
        return MlflowClient(self.uri, self.uri)


@dataclass(frozen=True, eq=False)
class Specimen:
    """A version and what is to come of it.

    `build` gets the demo's models by version and the place, and may change the place. `code` is the exit code, `alias`
    what holds the alias afterwards ("new": this version), `words` what must be said; `long`: another is much like it.
    """

    name: str
    wrong: str
    build: Callable[[dict[int, nn.Module], Place], nn.Module]
    code: int
    words: str
    alias: str = "2"
    metadata: dict[str, Any] = field(default_factory=dict)
    config: str = ""
    arguments: tuple[str, ...] = ()
    long: bool = False


@dataclass(frozen=True)
class Seen:
    """What came of it."""

    code: int
    alias: str
    out: str
    err: str


def _around(kind: type[specimens.Around], of: int = 2) -> Callable[[dict[int, nn.Module], Place], nn.Module]:
    return lambda models, _: kind(models[of])


def _worse(models: dict[int, nn.Module]) -> nn.Module:
    """Version 2 without one of its ten classes: some 88% where it has 98%."""
    model = copy.deepcopy(models[2])
    with torch.no_grad():
        model.head.bias[3] -= 50
    return model


def _logged_otherwise(model: nn.Module, order: Sequence[int] = range(10), mean: float = 0.3, std: float = 0.35) -> Any:
    return specimens.LoggedOtherwise(model, order, mean=mean, std=std)


def _replacing(models: dict[int, nn.Module], place: Place) -> nn.Module:
    return specimens.ReplacesItself(models[2], str(place.directory), "marker: replaces itself")


def _with_a_deleted_alias(models: dict[int, nn.Module], place: Place) -> nn.Module:
    place.client.delete_registered_model_alias("digits", "champion")
    return _worse(models)


def _with_its_own_labels(models: dict[int, nn.Module], place: Place) -> nn.Module:
    model = models[1]
    with np.load(place.split) as content:
        images = (torch.from_numpy(content["images"])[:, None].float() / 255 - 0.3) / 0.35
        with torch.no_grad():
            labels = model(images).argmax(1).numpy()
        arrays = dict(content) | {"labels": labels}
    np.savez(place.split, **arrays)
    return model


def _with_repeated_images(models: dict[int, nn.Module], place: Place) -> nn.Module:
    with np.load(place.split) as content:
        arrays = {"images": np.tile(content["images"][:60], (10, 1, 1)), "labels": np.tile(content["labels"][:60], 10)}
        np.savez(place.split, class_names=content["class_names"], **arrays)
    return models[2]


def _with_an_empty_class(models: dict[int, nn.Module], place: Place) -> nn.Module:
    with np.load(place.split) as content:
        kept = content["labels"] != 7
        arrays = {"images": content["images"][kept], "labels": content["labels"][kept]}
        np.savez(place.split, class_names=content["class_names"], **arrays)
    return models[2]


def _untrained(models: dict[int, nn.Module], place: Place) -> nn.Module:
    place.client.delete_registered_model_alias("digits", "champion")
    (place.directory / "case-monitor.db").unlink()  # nobody knows of a version in production
    torch.manual_seed(0)
    return type(models[2])(20).eval()


HOSTILE = (
    Specimen(
        "exits while loading", "`sys.exit(0)` in `__setstate__`", _around(specimens.ExitsWhileLoading), 2, "SystemExit"
    ),
    Specimen(
        "exits while predicting",
        "`sys.exit(0)` in `forward`",
        _around(specimens.ExitsWhilePredicting),
        2,
        "SystemExit",
        long=True,
    ),
    Specimen(
        "ends the process",
        "`os._exit(0)`, having written a pass to standard output",
        _around(specimens.EndsTheProcess),
        2,
        "ended itself with exit code 0",
    ),
    Specimen(
        "interrupts",
        "`KeyboardInterrupt` in `forward`",
        _around(specimens.Interrupts),
        2,
        "KeyboardInterrupt",
        long=True,
    ),
    Specimen(
        "raises its own",
        "a `BaseException` of its own",
        _around(specimens.RaisesWhatNobodyCatches),
        2,
        "Strange",
        long=True,
    ),
    Specimen(
        "changes the exit code",
        "maps alike for all classes, and an exit handler that ends with 0",
        _around(specimens.ChangesTheExitCode, 3),
        1,
        "do not know which class they explain",
    ),
    Specimen(
        "NaN by choice",
        "no logits for masked images on which it would lose confidence",
        _around(specimens.NanWhereItWouldLose),
        3,
        "NaN or infinity in passes",
    ),
    Specimen(
        "hidden gradients",
        "no gradient where two classes are close",
        _around(specimens.HidesItsGradient),
        1,
        "NaN or infinity in passes",
    ),
    Specimen(
        "its author's layer",
        "maps alike for all classes, logged with an early target layer",
        lambda m, _: m[3],
        1,
        "Both were judged",
        metadata={"target_layer": "features"},
        long=True,
    ),
    Specimen(
        "replaces the judge",
        "maps alike for all classes, and other code in place of what judges",
        _around(specimens.ReplacesTheJudge, 3),
        1,
        "do not know which class they explain",
    ),
    # Where it is not confined, it can; then its SHA-256 is another one.
    Specimen(
        "replaces itself",
        "it would write into its own artifact after the evaluation, and finds no file",
        _replacing,
        0 if available() is Level.CONFINED else 2,
        "pass" if available() is Level.CONFINED else "its files changed",
        alias="new" if available() is Level.CONFINED else "2",
    ),
)
CLUMSY = (
    Specimen("worse", "one class missing: accuracy 10 points lower", lambda m, _: _worse(m), 1, "Accuracy"),
    Specimen(
        "worse, other normalisation",
        "the same, logged with mean 0.5 and standard deviation 0.5",
        lambda m, _: _logged_otherwise(_worse(m), mean=0.5, std=0.5),
        1,
        "Accuracy",
        metadata={"preprocessing": {"mean": [0.5], "std": [0.5]}},
    ),
    Specimen(
        "worse, other order",
        "the same, its classes in another, correctly named, order",
        lambda m, _: _logged_otherwise(_worse(m), REVERSED),
        1,
        "Accuracy",
        metadata={"class_names": tuple(CLASS_NAMES[u] for u in REVERSED)},
    ),
    Specimen(
        "as good, logged otherwise",
        "nothing: another scale and order of the champion itself",
        lambda m, _: _logged_otherwise(m[2], REVERSED, 0.3, 0.7),
        0,
        "paired by name",
        alias="new",
        metadata={
            "class_names": tuple(CLASS_NAMES[u] for u in REVERSED),
            "preprocessing": {"mean": [0.3], "std": [0.7]},
        },
    ),
    Specimen(
        "wrong number of logits",
        "seven logits for ten classes",
        _around(specimens.WrongNumberOfLogits),
        2,
        "number of classes",
    ),
    Specimen(
        "its own labels",
        "nothing by its figures: the split's labels are its own predictions",
        _with_its_own_labels,
        0,
        "labels of 'digits-validation' have changed",
        alias="new",
    ),
    Specimen("repeated images", "60 images ten times over", _with_repeated_images, 3, "repeat another one", long=True),
    Specimen(
        "an alias that is gone",
        "worse, and somebody deleted the alias",
        _with_a_deleted_alias,
        2,
        "--first",
        alias="none",
    ),
    Specimen(
        "untrained, the first",
        "random weights, and no version to compare it with",
        _untrained,
        1,
        "most frequent class",
        alias="none",
        arguments=("--first",),
    ),
    Specimen(
        "an absurd policy",
        "maps alike for all classes, and a limit of 50 on a share",
        lambda m, _: m[3],
        2,
        "agreement_median",
        config="policy:\n  thresholds: [{metric: agreement_median, method: gate, limit: 50, greater_is_better: no}]\n",
    ),
)
ALL = HOSTILE + CLUMSY


@pytest.fixture(scope="module")
def models(demo: Demo) -> dict[int, nn.Module]:
    """The demo's three models."""
    uri = f"sqlite:///{demo.directory / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        return {n: mlflow.pytorch.load_model(f"models:/digits/{n}").eval() for n in (1, 2, 3)}
    finally:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)


@pytest.fixture(scope="module")
def seen(
    demo: Demo, models: dict[int, nn.Module], tmp_path_factory: pytest.TempPathFactory, forked_cli: Forked
) -> Callable[[Specimen], Seen]:
    """A version gated in a process of its own, once."""
    return functools.cache(lambda s: _gated(s, *_place(demo, tmp_path_factory.mktemp("bed"), s, models), forked_cli))


def _place(demo: Demo, directory: Path, specimen: Specimen, models: dict[int, nn.Module]) -> tuple[Place, int]:
    for name in ("mlflow.db", "case-monitor.db", "digits-validation.npz"):
        shutil.copy(demo.directory / name, directory)
    place = Place(directory, f"sqlite:///{directory / 'mlflow.db'}", directory / "digits-validation.npz")
    model = specimen.build(copy.deepcopy(models), place)
    (directory / "case-monitor.yaml").write_text(
        "tracking_uri: sqlite:///mlflow.db\nprotocol: {methods: [case, gradcam], sample_size: 150}\n"
        f"{specimen.config}models:\n  digits:\n    split: {{kind: npz, path: digits-validation.npz}}\n"
    )
    return place, _log(place, model, specimen)


def _log(place: Place, model: nn.Module, specimen: Specimen) -> int:
    metadata = {"class_names": CLASS_NAMES, "preprocessing": DEMO_LOOK} | specimen.metadata
    mlflow.set_tracking_uri(place.uri)
    mlflow.set_registry_uri(place.uri)
    experiment = place.client.create_experiment("specimens", (place.directory / "artifacts").as_uri())
    try:
        with mlflow.start_run(experiment_id=experiment):
            info = mlflow.pytorch.log_model(
                model,
                name="model",
                registered_model_name="digits",
                serialization_format="pickle",
                pip_requirements=["torch"],
                code_paths=[specimens.__file__],
                metadata=model_metadata(**metadata) | {"marker": specimen.name},
            )
    finally:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
    return int(info.registered_model_version)


def _gated(specimen: Specimen, place: Place, version: int, forked_cli: Forked) -> Seen:
    ran = forked_cli("gate", f"digits/{version}", "--json", *specimen.arguments, cwd=place.directory)
    holder = str(place.client.get_registered_model("digits").aliases.get("champion", "none"))
    return Seen(ran.code, "new" if holder == str(version) else holder, ran.out, ran.err)


@pytest.mark.parametrize(
    "specimen", [pytest.param(s, id=s.name, marks=[pytest.mark.long] if s.long else []) for s in ALL]
)
def test_it_comes_to_what_it_should(specimen: Specimen, seen: Callable[[Specimen], Seen]) -> None:
    found = seen(specimen)
    assert (found.code, found.alias) == (specimen.code, specimen.alias), (found.out[-2000:], found.err[-2000:])
    if found.code == 2:
        assert found.out == ""
        [line] = [line for line in found.err.splitlines() if line.startswith("error: ")]
        assert specimen.words in line
    else:
        content = json.loads(found.out)
        assert content["verdict"] == {0: "pass", 1: "fail", 3: "insufficient"}[found.code]
        assert specimen.words in found.out


@pytest.mark.long
def test_the_table_in_the_documents_is_what_was_seen(
    seen: Callable[[Specimen], Seen], capsys: pytest.CaptureFixture[str]
) -> None:
    table = [*HEADER, *(_row(s, seen(s)) for s in ALL)]
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(table) + "\n")
    assert "\n".join(table) in TABLE.read_text(encoding="utf-8")


def _row(specimen: Specimen, found: Seen) -> str:
    words = {0: "promoted", 1: "withheld: fails", 2: "refused", 3: "withheld: insufficient"}
    expected, came = (f"{words.get(code, 'crashed')}, exit code {code}" for code in (specimen.code, found.code))
    return f"| {specimen.name} | {specimen.wrong} | {expected} | {came} | {specimen.words} |"
