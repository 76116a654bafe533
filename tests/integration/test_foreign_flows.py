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


@pytest.fixture(params=["with __init__.py", "without"])
def environment(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """Of a project whose `flows` comes first; importing it by mistake fails."""
    package = tmp_path / "project" / "flows"
    package.mkdir(parents=True)
    (package / "nightly.py").write_text("raise SystemExit('not the flows that were asked for')\n")
    if request.param == "with __init__.py":
        (package / "__init__.py").write_text("")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    return kept | {"PYTHONPATH": str(package.parent), "DO_NOT_TRACK": "true"}


def run(environment: dict[str, str], directory: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *command], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def test_commands_work_beside_it(environment: dict[str, str], demo_copy: Callable[[str], Path]) -> None:
    config = demo_copy(CONFIG)
    for words, expected in ((["check", "digits/3"], 1), (["gate", "digits/2"], 0), (["nightly"], 0)):
        ran = run(environment, config.parent, "-m", "case_monitor", *words)
        assert ran.returncode == expected, ran.stderr


def test_deployments_are_found_beside_it(environment: dict[str, str]) -> None:
    ran = run(environment, ROOT, "-c", LOAD, *DEPLOYED)
    assert ran.stdout.split() == ["evaluate-version", "promote", "nightly", "watch-registry"], ran.stderr
