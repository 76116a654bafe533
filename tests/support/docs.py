"""What the pages of the documentation are run with: a small real model, images, and the real command line.

Every run of tests imports this module, so what takes long to import is imported by the functions that need it.
"""

import sys
from copy import deepcopy
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sybil import Example

TRAIN = """
from torch import nn


class Flowers(nn.Sequential):
    pass
"""


def prepare_page(namespace: dict[str, Any]) -> None:
    """A page starts with a trained `model`, of a class of the reader's own in `train.py`, and its `class_names`."""
    from tests.support.shapes import CLASS_NAMES, train_flowers

    train = ModuleType("train")
    exec(TRAIN, vars(train))
    train.Flowers.__module__ = "train"
    sys.modules["train"] = train  # so that its class is pickled by name, as that of a file is
    model = deepcopy(train_flowers())
    model.__class__ = train.Flowers
    namespace["model"], namespace["class_names"] = model, CLASS_NAMES


@pytest.fixture(scope="session")
def page_directory(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Path:
    """A directory with validation images and an empty MLflow registry."""
    import numpy as np
    from mlflow import MlflowClient
    from PIL import Image

    from tests.support.shapes import CLASS_NAMES, draw

    directory = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(1)
    for u, name in enumerate(CLASS_NAMES):
        (directory / "validation" / name).mkdir(parents=True)
        for i in range(70):
            Image.fromarray(draw(u, rng)).save(directory / "validation" / name / f"{i}.png")
    (directory / "train.py").write_text(TRAIN, encoding="utf-8")
    client = MlflowClient(f"sqlite:///{directory / 'mlflow.db'}")
    client.create_experiment("training", artifact_location=(directory / "artifacts").as_uri())
    return directory


@pytest.fixture
def page(page_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of an example."""
    import mlflow

    monkeypatch.chdir(page_directory)
    uri = f"sqlite:///{page_directory / 'mlflow.db'}"
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    mlflow.set_experiment("training")
    return page_directory


def write_config(example: Example) -> None:
    """A YAML block is the configuration file."""
    Path("case-monitor.yaml").write_text(example.parsed, encoding="utf-8")


def run_console(example: Example) -> None:
    """A console block is commands; `pip` did its work before the tests."""
    from tests.support.commands import run_cli

    for line in example.parsed.splitlines():
        program, *arguments = line.removeprefix("$ ").split()
        if program == "case-monitor":
            ran = run_cli(*arguments, cwd=Path.cwd())
            assert ran.code == 0, f"{line}\n{ran.out}\n{ran.err}"
