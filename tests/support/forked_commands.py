"""`case-monitor` in processes of their own that begin where its imports end: over ten seconds less for each.

`tests/support/fork_server.py` imports what a gate imports, and forks for every command that it is told.
What a forked process has of its own is all that a test of one looks at: exit code, signals, environment, directory,
path, standard output and error. Its figures are undrawn (`tests/integration/conftest.py`).
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.commands import Ran

Forked = Callable[..., Ran]


@pytest.fixture(scope="session")
def forked_cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forked]:
    """`forked_cli(*arguments, cwd=...)`, one at a time, without the environment's servers, on one thread.

    `code` is run instead of the command, with its arguments; `path` comes first in sys.path; `environment` is added.
    With `nobody_listens` standard error is a pipe that is closed at the other end.
    """
    folder = tmp_path_factory.mktemp("forked")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MLFLOW_"))}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.fork_server"],
        env=ours | {"OMP_NUM_THREADS": "1"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        told, heard = process.stdin, process.stdout

        def run(
            *arguments: str,
            cwd: Path,
            code: str = "",
            path: tuple[Path, ...] = (),
            environment: dict[str, str] | None = None,
            nobody_listens: bool = False,
        ) -> Ran:
            out, err = folder / "out", folder / "err"
            err.write_text("")
            own = {"cwd": str(cwd), "code": code, "path": [*map(str, path)], "environment": environment or {}}
            own |= {"out": str(out), "err": None if nobody_listens else str(err)}
            told.write(json.dumps({"arguments": arguments, **own}) + "\n")
            told.flush()
            return Ran(int(heard.readline()), *(output.read_text(encoding="utf-8") for output in (out, err)))

        yield run
        told.close()
