"""The whole product, run as a user would: real MLflow, real Prefect, real database, the demo's real models."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pytest

from case_monitor.demo.digits import CLASS_NAMES, load_digits
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.gallery import Gallery
from case_monitor.evidence import made
from tests.support.commands import Ran, run_cli
from tests.support.made_once import made_once
from tests.support.running_stack import RunningStack

Cli = Callable[..., Ran]


@pytest.fixture(autouse=True)
def figures_undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the time of an evaluation goes into figures that few of these tests look at.

    Those of the demo, which is run before, and those of processes of their own are drawn.
    """

    def save_figures(_evaluation: Evaluation, _gallery: Gallery, directory: Path) -> None:
        directory.mkdir(parents=True)
        (directory / "undrawn.txt").touch()

    monkeypatch.setattr(made, "save_figures", save_figures)


@pytest.fixture(scope="session")
def cli(prefect_server: None) -> Cli:
    """`run_cli` beside a running Prefect server."""
    return run_cli


@dataclass(frozen=True)
class Demo:
    """The demo's directory after its first run, and what it said."""

    directory: Path
    ran: Ran

    @property
    def config(self) -> Path:
        return self.directory / "case-monitor.yaml"

    @property
    def database_url(self) -> str:
        return f"sqlite:///{self.directory / 'case-monitor.db'}"

    def copy(self, text: str, folder: Path) -> Path:
        """A configuration with a copy of its registry and a database of its own, as the text says."""
        config = folder / "case-monitor.yaml"
        shutil.copy(self.directory / "mlflow.db", folder)
        config.write_text(text.format(split=self.directory / "digits-validation.npz"))
        return config


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Demo:
    """`case-monitor demo`, run once for the tests of all processes, which must leave it as they found it."""

    def make(directory: Path) -> None:
        cli: Cli = request.getfixturevalue("cli")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CASE_MONITOR_EVIDENTLY_REPORTS", "true")
            ran = cli("demo", "--directory", str(directory), cwd=directory)
        (directory / "ran.json").write_text(json.dumps(asdict(ran)), encoding="utf-8")

    directory = made_once("demo", make, tmp_path_factory)
    return Demo(directory, Ran(**json.loads((directory / "ran.json").read_text(encoding="utf-8"))))


@pytest.fixture
def demo_copy(demo: Demo, tmp_path: Path) -> Callable[[str], Path]:
    """`Demo.copy` into the test's folder."""
    return lambda text: demo.copy(text, tmp_path)


@contextmanager
def digits_stack(settings: str = "") -> Iterator[RunningStack]:
    """A stack that monitors a model `served` on the digits' validation split."""
    running = RunningStack.new()
    digits, split = load_digits(), running.directory / "digits.npz"
    np.savez(split, images=digits.val_images, labels=digits.val_labels, class_names=np.array(CLASS_NAMES))
    running.config_text = f"{settings}models:\n  served:\n    split: {{kind: npz, path: {split}}}\n"
    try:
        running.start()
        yield running
    finally:
        running.end()
        shutil.rmtree(running.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def stack() -> Iterator[RunningStack]:
    """PostgreSQL, MLflow, Prefect, worker and service, from `docker/local/stack.py`: leave it running, as it is.

    It monitors a model `served`, which is not registered yet.
    """
    quick = "protocol: {methods: [case, gradcam], sample_size: 150}\npolicy: {thresholds: paper, min_samples: 40}\n"
    with digits_stack(quick) as running:
        yield running
