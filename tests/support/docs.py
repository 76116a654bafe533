"""What the pages of the documentation are run with: a small real model, images, and the real command line."""

from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from mlflow.tracking import MlflowClient
from PIL import Image
from sybil import Example
from torch import nn

from tests.support.commands import run_cli

CLASS_NAMES = ("round", "square", "striped")


def draw(class_idx: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A bright disc, square or grating of 12 pixels somewhere on a dark noisy ground, (32, 32, 3) uint8."""
    image = rng.integers(0, 60, (32, 32, 3))
    top, left = rng.integers(1, 19, 2)
    yy, xx = np.mgrid[:12, :12]
    shape = [(yy - 5.5) ** 2 + (xx - 5.5) ** 2 < 34, np.ones((12, 12), bool), yy % 4 < 2][class_idx]
    image[top : top + 12, left : left + 12][shape] = rng.integers(180, 255, 3)
    return image.astype(np.uint8)


def train_flowers() -> nn.Module:
    """A plain CNN that tells the three shapes apart."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    labels = torch.arange(600) % 3
    images = torch.from_numpy(np.stack([draw(int(u), rng) for u in labels])).permute(0, 3, 1, 2) / 127.5 - 1
    features = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
    )
    model = nn.Sequential()
    model.add_module("features", features)
    model.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    model.add_module("head", nn.Linear(32, 3))
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(15):
        for batch in torch.split(torch.randperm(600), 50):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()


def prepare_page(namespace: dict[str, Any]) -> None:
    """A page starts with a trained `model` and its `class_names`."""
    namespace["model"], namespace["class_names"] = train_flowers(), CLASS_NAMES


@pytest.fixture(scope="session")
def page_directory(tmp_path_factory: pytest.TempPathFactory, prefect_server: None) -> Path:
    """A directory with validation images and an empty MLflow registry."""
    directory = tmp_path_factory.mktemp("page")
    rng = np.random.default_rng(1)
    for u, name in enumerate(CLASS_NAMES):
        (directory / "validation" / name).mkdir(parents=True)
        for i in range(70):
            Image.fromarray(draw(u, rng)).save(directory / "validation" / name / f"{i}.png")
    client = MlflowClient(f"sqlite:///{directory / 'mlflow.db'}")
    client.create_experiment("training", artifact_location=(directory / "artifacts").as_uri())
    return directory


@pytest.fixture
def page(page_directory: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of an example."""
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
    for line in example.parsed.splitlines():
        program, *arguments = line.removeprefix("$ ").split()
        if program == "case-monitor":
            ran = run_cli(*arguments, cwd=Path.cwd())
            assert ran.code == 0, f"{line}\n{ran.out}\n{ran.err}"
