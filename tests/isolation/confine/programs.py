"""Programs that the tests of confinement start: in a fresh interpreter, with no thread and no module of the test's."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from case_monitor.isolation.confine import landlock, seccomp

ROOT = Path(__file__).parents[3]
HERE = Path(__file__).parent
needs_confinement = pytest.mark.skipif(
    bool(landlock.lacking() or seccomp.lacking()) if sys.platform == "linux" else True,
    reason="this kernel cannot confine: Linux 5.13 with Landlock and seccomp is needed",
)


def run_program(name: str, plan: dict[str, Any], environment: dict[str, str] | None = None) -> Any:
    """What a program beside this file printed, as JSON; its plan gets the project's root."""
    argument = json.dumps({"root": str(ROOT), **plan})
    done = subprocess.run(
        [sys.executable, "-I", str(HERE / name), argument], env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
