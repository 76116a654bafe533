"""What `forked_commands` talks to. It imports no pytest: models could tell by it that they are tested."""

import json
import os
import signal
import sys
import threading
from importlib import import_module

_IMPORTED = ("case_monitor.cli.run", "evidently.metrics", "evidently.presets", "mlflow.pytorch")


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
    signal.alarm(900)  # whoever hangs is ended
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, file in ((1, out), (2, err)):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
    os.chdir(cwd)
    sys.argv = ["case-monitor", *arguments]
    from case_monitor.cli.supervision import main

    main()


if __name__ == "__main__":
    _serve()
