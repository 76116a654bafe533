"""What `forked_commands` talks to. It imports no pytest: models could tell by it that they are tested."""

import gc
import json
import os
import signal
import sys
import threading
from importlib import import_module
from pathlib import Path

from sqlalchemy.orm import configure_mappers

_IMPORTED = (
    *("case_monitor.cli.run", "case_monitor.store.migrate", "evidently.metrics", "evidently.presets"),
    *("mlflow.pytorch", "mlflow.store.model_registry.sqlalchemy_store", "mlflow.store.tracking.sqlalchemy_store"),
    *("plotly.graph_objects", "plotly.io"),
)


def _serve() -> None:
    """Exit codes for commands, one a line, until standard input ends."""
    _import_all()
    _leave_figures_undrawn()
    assert threading.active_count() == 1, threading.enumerate()
    assert "flows" not in sys.modules  # it may be another one on a command's path
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _become(**json.loads(line))
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
    configure_mappers()
    gc.freeze()  # what is here stays: a child's collector need not look at it, nor copy its pages
    from case_monitor.isolation.servers import fork_server

    fork_server()  # what models are run by is forked with a command, too


def _leave_figures_undrawn() -> None:
    """Half of the time of an evaluation goes into figures, which those who ask for a command do not look at."""
    from case_monitor.evidence import made

    def save_figures(_evaluation: object, _gallery: object, directory: Path) -> None:
        directory.mkdir(parents=True)
        (directory / "undrawn.txt").touch()

    made.save_figures = save_figures


def _become(
    *,
    arguments: list[str],
    cwd: str,
    code: str,
    path: list[str],
    environment: dict[str, str],
    out: str,
    err: str | None,
) -> None:
    """A process that has just been started with this command, and does not come back."""
    signal.alarm(1200)  # whoever hangs is ended
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(_opened(out), 1)
    os.dup2(_opened(err) if err else _closed_pipe(), 2)
    os.chdir(cwd)
    os.environ.update(environment)
    sys.path[:0] = path
    sys.argv = ["-c" if code else "case-monitor", *arguments]
    if code:
        exec(code, {"__name__": "__main__"})
        sys.exit()
    from case_monitor.cli.supervision import main

    main()


def _opened(file: str) -> int:
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)


def _closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


if __name__ == "__main__":
    _serve()
