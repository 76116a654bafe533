"""Hostile versions through `case-monitor gate` as a process: refused in one line that names them, with no secret."""

import shutil
from collections.abc import Callable
from pathlib import Path

import mlflow
import pytest
from mlflow.tracking import MlflowClient
from torch import nn

from case_monitor.demo.digits import CLASS_NAMES
from case_monitor.registry import model_metadata
from tests.integration.conftest import Demo
from tests.isolation.confine.programs import needs_confinement
from tests.isolation.hostile import Hostile, canary
from tests.support.forked_commands import Forked

Gated = Callable[[Hostile], tuple[int, str, str, str, int]]
SAID = {
    "os._exit": "its process ended itself with exit code 0",
    "patches": "its process answered what is no answer",
    "sleeps": "its process said nothing for 6 s",
    "nests folders": "its process ended itself with exit code 0",
    "prints": "so \\x1b[31mlong".replace("\\x1b", ""),
    "another's error": "model digits/7: everything is wrong with it",
}
SAID_CONFINED = {"spies": "LookupError: True found: []", "connects": "no connection of any kind"}


@pytest.fixture
def gated(demo: Demo, tmp_path: Path, forked_cli: Forked) -> Gated:
    """What came of a version, and who holds the alias."""

    def run(model: Hostile) -> tuple[int, str, str, str, int]:
        silence_minutes = 0.1 if model.deed == "sleeps" else 5  # a spy looks for long
        for name in ("mlflow.db", "case-monitor.db", "digits-validation.npz"):
            shutil.copy(demo.directory / name, tmp_path)
        (tmp_path / "secret.txt").write_bytes(canary())
        (tmp_path / "case-monitor.yaml").write_text(
            f"# {canary().decode()}\ntracking_uri: sqlite:///mlflow.db\n"
            f"isolation: {{silence_minutes: {silence_minutes}}}\n"
            "protocol: {methods: [case, gradcam], sample_size: 50}\n"
            "models:\n  digits:\n    split: {kind: npz, path: digits-validation.npz}\n"
        )
        version = _log(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path, model)
        ran = forked_cli("gate", f"digits/{version}", "--json", cwd=tmp_path)
        client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}", f"sqlite:///{tmp_path / 'mlflow.db'}")
        return ran.code, ran.out, ran.err, str(client.get_registered_model("digits").aliases["champion"]), version

    return run


def _log(uri: str, folder: Path, model: nn.Module) -> int:
    mlflow.set_tracking_uri(uri)
    mlflow.set_registry_uri(uri)
    try:
        experiment = MlflowClient(uri, uri).create_experiment("hostile", (folder / "artifacts").as_uri())
        with mlflow.start_run(experiment_id=experiment):
            info = mlflow.pytorch.log_model(
                model,
                name="model",
                registered_model_name="digits",
                serialization_format="pickle",
                pip_requirements=["torch"],
                metadata=model_metadata(class_names=CLASS_NAMES, preprocessing={"mean": [0.3], "std": [0.35]}),
            )
    finally:
        mlflow.set_tracking_uri(None)
        mlflow.set_registry_uri(None)
    return int(info.registered_model_version)


@pytest.mark.parametrize("deed", [*SAID, *(pytest.param(name, marks=needs_confinement) for name in SAID_CONFINED)])
def test_it_is_refused_in_one_line(deed: str, gated: Gated) -> None:
    code, out, err, champion, version = gated(Hostile(deed))
    assert (code, out, champion) == (2, "", "2"), err[-2000:]
    [line] = [line for line in err.splitlines() if line.startswith("error: ")]
    assert f"digits/{version}" in line
    assert (SAID | SAID_CONFINED)[deed] in line
    assert "\x1b" not in err
    assert canary().decode() not in out + err
