"""What the configuration says of pickles is asked wherever a version is loaded, and before it is."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from torch import nn

from case_monitor.cli.explain import run_explain
from case_monitor.doctor.check import Outcome
from case_monitor.doctor.model import model_checks
from case_monitor.domain.errors import ModelError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.registry.client import Registry
from case_monitor.settings import Settings, load_settings
from case_monitor.steps.edges.models import fetch_model
from tests.registry.artifacts.corpus import Runs, statement
from tests.support.models_here import loaded_here

SAID = r"^model spying/\d+ was not loaded: data/model.pth: .*`pickles` is `refused`\)$"


class Spying(nn.Linear):
    """Runs a statement where it is loaded."""

    def __reduce__(self) -> tuple[object, ...]:
        return Runs(self.statement).__reduce__()


@pytest.fixture
def canary(mlflow_database: str, log_version: Callable[..., int], tmp_path: Path) -> Path:
    """The file that appears as soon as the version is loaded."""
    model = Spying(1, 1)
    model.statement = statement(tmp_path / "canary")
    log_version(mlflow_database, "spying", model)
    return tmp_path / "canary"


@pytest.fixture
def config(mlflow_database: str, tmp_path: Path) -> Path:
    path = tmp_path / "case-monitor.yaml"
    path.write_text(
        f"tracking_uri: {mlflow_database}\npickles: refused\nmodels: {{spying: {{split: {{kind: npz, path: x.npz}}}}}}"
    )
    return path


def newest(settings: Settings) -> ModelRef:
    version = Registry(settings.tracking_uri).newest_version("spying")
    assert version is not None
    return ModelRef(name="spying", version=version)


def test_steps_ask(config: Path, canary: Path) -> None:
    settings = load_settings(config)
    with pytest.raises(ModelError, match=SAID):
        fetch_model(settings, newest(settings))
    assert not canary.exists()


def test_explain_asks(config: Path, canary: Path, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "image.png")
    with pytest.raises(ModelError, match=SAID):
        run_explain(str(newest(load_settings(config))), tmp_path / "image.png", tmp_path / "out.png", config)
    assert not canary.exists()


def test_doctor_asks(config: Path, canary: Path) -> None:
    settings = load_settings(config)
    checks = list(model_checks(settings, "spying", Registry(settings.tracking_uri), quick=False))
    loading = checks[-1]
    assert loading.outcome == Outcome.FAILED
    assert "was not loaded: data/model.pth: " in loading.found
    assert not canary.exists()


def test_a_model_may_be_excepted(config: Path, canary: Path) -> None:
    config.write_text(config.read_text().replace("{split:", "{pickles: allowed, split:"))
    settings = load_settings(config)
    fetched = fetch_model(settings, newest(settings))
    assert not canary.exists()
    with pytest.raises((ModelError, AttributeError, TypeError)):  # what is loaded is no module
        loaded_here(fetched)
    assert canary.exists(), "the trap does work"


def test_asking_needs_neither_torch_nor_mlflow() -> None:
    program = (
        "import sys, case_monitor.registry.artifact as a; "
        "sys.exit(', '.join({'torch', 'mlflow', 'model_signing'} & set(sys.modules)) or None)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
