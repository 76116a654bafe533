"""What a machine can is said without doing it, and a step that fails is the end."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from case_monitor.isolation.confine import kernel, level
from case_monitor.isolation.confine.level import Level
from tests.isolation.confine.programs import HERE, ROOT, needs_confinement, run_program

FAILING = {
    "a second thread": "be alone (2 threads run in this process, 1 was expected",
    "a parent that is gone": "tie its life to its parent's",
    "a file that is not there": "restrict its files",
    "a scratch directory that is not there": "leave its session",
    "landlock_add_rule": "restrict its files",
    "landlock_restrict_self": "restrict its files",
    "prlimit64": "bind itself to its limits",
    "capset": "drop its capabilities",
    "prctl": "renounce privileges",
}
WITHOUT = {"landlock_create_ruleset": "no Landlock (", "seccomp": "no seccomp filter ("}


@pytest.fixture(scope="module")
def came(tmp_path_factory: pytest.TempPathFactory) -> Any:
    scratch = str(tmp_path_factory.mktemp("scratch"))
    return run_program("failing.py", {"scratch": scratch, "faults": [*FAILING, *WITHOUT]})


@needs_confinement
@pytest.mark.parametrize("fault", FAILING)
def test_a_step_that_fails_is_an_error_of_one_line(fault: str, came: Any) -> None:
    said = came[fault]
    assert said.startswith(f"confined: isolation: the process of a model could not {FAILING[fault]}")
    assert "\n" not in said


@needs_confinement
@pytest.mark.parametrize("missing", WITHOUT)
def test_a_kernel_that_cannot_says_so_and_only_the_process_is_set_apart(missing: str, came: Any) -> None:
    assert came[missing].startswith(f"process: process without {WITHOUT[missing]}")


@needs_confinement
def test_this_kernel_can() -> None:
    assert (level.available(), level.lacking()) == (Level.CONFINED, None)


@pytest.mark.parametrize(("platform", "machine"), [("darwin", "arm64"), ("linux", "riscv64"), ("linux", "i686")])
def test_other_machines_have_a_process_only(platform: str, machine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel.sys, "platform", platform)
    monkeypatch.setattr(kernel.platform, "machine", lambda: machine)
    assert level.available() is Level.PROCESS
    assert level.lacking() == "only Linux on x86_64 and aarch64 can confine"


@needs_confinement
def test_a_confined_process_ends_with_its_parent(tmp_path: Path) -> None:
    """Its standard output is ours: reading it ends when nobody holds it any more."""
    plan = json.dumps({"root": str(ROOT), "scratch": str(tmp_path)})
    done = subprocess.run([sys.executable, "-I", str(HERE / "outliving.py"), plan], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (-9, b"")
