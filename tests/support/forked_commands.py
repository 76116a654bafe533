"""`case-monitor` in processes of their own that begin where its imports end: over ten seconds less for each.

`python -m tests.support.forked_commands` imports what a gate imports, and forks for every command that it is told.
What a forked process has of its own is all that a test of one looks at: exit code, signals, environment, directory,
standard output and error.
"""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from tests.support.commands import Ran

Forked = Callable[..., Ran]

_IMPORTED = ("case_monitor.cli.run", "evidently.metrics", "evidently.presets", "mlflow.pytorch")


@pytest.fixture(scope="session")
def forked_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    """`forked_cli(*arguments, cwd=...)`, one at a time, without the environment's servers, on one thread."""
    folder = tmp_path_factory.mktemp("forked")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    with subprocess.Popen(
        [sys.executable, "-m", __name__],
        env=ours | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told, heard = process.stdin, process.stdout

        def run(*arguments: str, cwd: Path) -> Ran:
            outputs = [folder / "out", folder / "err"]
            told.write(json.dumps([arguments, str(cwd), *map(str, outputs)]) + "\n")
            told.flush()
            code = int(heard.readline())
            return Ran(code, *(output.read_text(encoding="utf-8") for output in outputs))

        yield run
        told.close()


def _serve() -> None:
    """Exit codes for commands, one a line, until standard input ends."""
    _import_all()
    assert threading.active_count() == 1, threading.enumerate()
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(*json.loads(line))
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        sys.stdout.write(f"{code}\n")
        sys.stdout.flush()


def _import_all() -> None:
    from case_monitor.cli import preparation

    preparation.reserve, reserve = lambda: None, preparation.reserve  # standard output is the commands'
    preparation.prepare(verbose=False)
    preparation.reserve = reserve
    for name in _IMPORTED:
        import_module(name)


def _become(arguments: list[str], cwd: str, out: str, err: str) -> None:
    """A process that has just been started with this command, and does not come back."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.chdir(cwd)
    sys.argv = ["case-monitor", *arguments]
    from case_monitor.cli.supervision import main

    main()


if __name__ == "__main__":
    _serve()
