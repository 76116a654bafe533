"""A package `flows` of the user's own, first on the path, as in nearly every Prefect project."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from tests.integration.test_cli import CONFIG
from tests.support.forked_commands import Forked

ROOT = Path(__file__).parents[2]
DEPLOYED = [d["entrypoint"] for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]]
NAMES = ["evaluate-version", "promote", "nightly", "watch-registry"]
LOAD = """
import sys
from prefect.flows import load_flow_from_entrypoint
for entrypoint in sys.argv[1:]:
    print(load_flow_from_entrypoint(entrypoint).name)
"""


def project(tmp_path: Path, *, is_package: bool) -> Path:
    """Whose `flows` is to come first; importing it by mistake fails."""
    package = tmp_path / "project" / "flows"
    package.mkdir(parents=True)
    (package / "nightly.py").write_text("raise SystemExit('not the flows that were asked for')\n")
    if is_package:
        (package / "__init__.py").write_text("")
    return package.parent


def run(first: Path, directory: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    """In a fresh process, which imports everything with the project on its path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    environment = kept | {"PYTHONPATH": str(first), "DO_NOT_TRACK": "true"}
    return subprocess.run(
        [sys.executable, *command], cwd=directory, env=environment, capture_output=True, text=True, check=False
    )


def test_commands_work_beside_it(demo_copy: Callable[[str], Path], tmp_path: Path, forked_cli: Forked) -> None:
    """A folder without `__init__.py` comes after every package of the name, so that a package is the harder case."""
    config, first = demo_copy(CONFIG), project(tmp_path, is_package=True)
    checked = run(first, config.parent, "-m", "case_monitor", "check", "digits/3")
    assert checked.returncode == 1, checked.stderr
    for words, expected in ((["gate", "digits/2"], 0), (["nightly"], 0)):
        ran = forked_cli(*words, cwd=config.parent, path=(first,))
        assert ran.code == expected, ran.err


def test_a_command_works_beside_a_folder(demo_copy: Callable[[str], Path], tmp_path: Path, forked_cli: Forked) -> None:
    config, first = demo_copy(CONFIG), project(tmp_path, is_package=False)
    ran = forked_cli("check", "digits/3", "--dry-run", cwd=config.parent, path=(first,))
    assert ran.code == 1, ran.err


def test_deployments_are_found_beside_it(tmp_path: Path) -> None:
    ran = run(project(tmp_path, is_package=True), ROOT, "-c", LOAD, *DEPLOYED)
    assert ran.stdout.split() == NAMES, ran.stderr


def test_deployments_are_found_beside_a_folder(tmp_path: Path, forked_cli: Forked) -> None:
    ran = forked_cli(*DEPLOYED, code=LOAD, cwd=ROOT, path=(project(tmp_path, is_package=False),))
    assert ran.out.split() == NAMES, ran.err
