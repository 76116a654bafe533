"""A package `flows` of the user's own, first on the path, as in nearly every Prefect project."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.integration.test_cli import CONFIG

ROOT = Path(__file__).parents[2]
DEPLOYED = [d["entrypoint"] for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]]
LOAD = """
import sys
from prefect.flows import load_flow_from_entrypoint
for entrypoint in sys.argv[1:]:
    print(load_flow_from_entrypoint(entrypoint).name)
"""


def environment_of(tmp_path: Path, *, is_package: bool) -> dict[str, str]:
    """Of a project whose `flows` comes first; importing it by mistake fails."""
    package = tmp_path / "project" / "flows"
    package.mkdir(parents=True)
    (package / "nightly.py").write_text("raise SystemExit('not the flows that were asked for')\n")
    if is_package:
        (package / "__init__.py").write_text("")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    return kept | {"PYTHONPATH": str(package.parent), "DO_NOT_TRACK": "true"}


def run(environment: dict[str, str], directory: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *command], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def test_commands_work_beside_it(demo_copy: Callable[[str], Path], tmp_path: Path) -> None:
    """A folder without `__init__.py` comes after every package of the name, so that a package is the harder case."""
    config, environment = demo_copy(CONFIG), environment_of(tmp_path, is_package=True)
    for words, expected in ((["check", "digits/3"], 1), (["gate", "digits/2"], 0), (["nightly"], 0)):
        ran = run(environment, config.parent, "-m", "case_monitor", *words)
        assert ran.returncode == expected, ran.stderr


def test_a_command_works_beside_a_folder(demo_copy: Callable[[str], Path], tmp_path: Path) -> None:
    config, environment = demo_copy(CONFIG), environment_of(tmp_path, is_package=False)
    ran = run(environment, config.parent, "-m", "case_monitor", "check", "digits/3", "--dry-run")
    assert ran.returncode == 1, ran.stderr


@pytest.mark.parametrize("is_package", [True, False])
def test_deployments_are_found_beside_it(tmp_path: Path, is_package: bool) -> None:
    ran = run(environment_of(tmp_path, is_package=is_package), ROOT, "-c", LOAD, *DEPLOYED)
    assert ran.stdout.split() == ["evaluate-version", "promote", "nightly", "watch-registry"], ran.stderr
