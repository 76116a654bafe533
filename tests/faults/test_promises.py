"""What the harness itself looks at."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.promises import descendants, nobody_left

STARTS_ANOTHER = """
import subprocess, sys
started = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(started.pid, flush=True)
sys.stdin.read()
started.kill()
"""


@contextmanager
def running(script: Path) -> Iterator[int]:
    """A process that starts another one; the number of that."""
    script.parent.mkdir(parents=True)
    script.write_text(textwrap.dedent(STARTS_ANOTHER), encoding="utf-8")
    with subprocess.Popen([sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate()


@pytest.mark.parametrize(("folder", "counts"), [("docker/local", False), ("other", True)])
def test_what_a_stack_of_other_tests_starts_is_nobodys_remains(tmp_path: Path, folder: str, counts: bool) -> None:
    before = descendants()
    with running(tmp_path / folder / "stack.py") as started:
        found = list(nobody_left(before))
    assert bool(found) is counts
    assert not counts or str(started) in found[0].how
