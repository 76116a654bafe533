"""What a confined process knows of its surroundings: how to compute, the libraries, and nobody's secrets."""

import sys
from pathlib import Path

import pytest

from case_monitor.isolation.confine.environment import scrubbed
from case_monitor.isolation.confine.readable import default_readable

PACKAGE = Path(__file__).parents[3] / "case_monitor"


def test_of_an_environment_only_what_decides_how_to_compute_is_left() -> None:
    kept = {"OMP_NUM_THREADS": "2", "MKL_CBWR": "AVX2", "ATEN_CPU_CAPABILITY": "avx2", "CUDA_VISIBLE_DEVICES": "0",
            "LC_ALL": "C", "PYTHONHASHSEED": "0"}  # fmt: skip
    secrets = {"CASE_MONITOR_STORE__URL": "postgresql://u:tiger@h/d", "AWS_SECRET_ACCESS_KEY": "tiger", "PATH": "/bin",
               "NVIDIA_API_KEY": "tiger", "LD_PRELOAD": "/tmp/x.so", "PYTHONPATH": "/home/me",
               "MLFLOW_TRACKING_TOKEN": "tiger",
               "HOME": "/home/me", "CUDA_SECRET": "tiger"}  # fmt: skip
    places = dict.fromkeys(("HOME", "TMPDIR", "XDG_CACHE_HOME", "TORCH_HOME"), "/scratch")
    assert scrubbed(kept | secrets, Path("/scratch")) == {"OMP_WAIT_POLICY": "passive"} | kept | places


def test_the_libraries_can_be_read_and_no_project_nor_home() -> None:
    readable = default_readable()
    assert PACKAGE in readable
    assert any(Path(sys.modules["pytest"].__path__[0]).is_relative_to(path) for path in readable)
    secret = [
        PACKAGE.parent,
        Path.home(),
        *map(Path, ("/", "/etc", "/proc", "/proc/self", "/tmp", "/home", "/root", "/var")),
    ]
    assert not [(path, there) for path in readable for there in secret if there.is_relative_to(path)]


def test_a_project_that_is_its_own_environment_stays_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`python -m venv .`, with the configuration beside it, on the path."""
    for folder in ("lib/python3/site-packages", "plugins/site-packages"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "case-monitor.yaml").write_text("store: {}")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path), "", str(tmp_path / "plugins/site-packages"), *sys.path])
    readable = default_readable()
    ours = {str(path.relative_to(tmp_path)) for path in readable if path.is_relative_to(tmp_path)}
    assert ours == {"lib", "plugins/site-packages"}
    assert not [path for path in readable if (tmp_path / "case-monitor.yaml").is_relative_to(path)]
    assert all(path.is_absolute() for path in readable)
