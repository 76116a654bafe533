"""Run `case-monitor` in this process as a user would run it in a shell."""

import contextlib
import io
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from case_monitor.cli import main

if TYPE_CHECKING:  # it takes two seconds, and few of those who run commands ask a registry
    from mlflow.tracking import MlflowClient


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code and both outputs."""

    code: int
    out: str
    err: str


def run_cli(*args: str, cwd: Path) -> Ran:
    """`case-monitor ARGS` from a directory, with its real exit code."""
    out, err = io.StringIO(), io.StringIO()
    before, argv, environment = Path.cwd(), sys.argv, dict(os.environ)
    os.chdir(cwd)
    sys.argv = ["case-monitor", *args]
    os.environ["COLUMNS"] = "200"
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        os.chdir(before)
        sys.argv = argv
        os.environ.clear()
        os.environ.update(environment)
    return Ran(code, out.getvalue(), err.getvalue())


def registry_of(config: Path) -> "MlflowClient":
    """The registry beside a configuration. Named twice: MLflow's default registry is whatever was used last."""
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{config.parent / 'mlflow.db'}"
    return MlflowClient(uri, uri)
