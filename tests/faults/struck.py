"""In the process that is struck: `python -c "from tests.faults.struck import main; main()" STRIKE gate digits/2 ...`.

A gate passes points: before each step of a flow, each call of MLflow's client, and each commit of a database. At the
one that the strike names or counts, it does its deed; `gone`: from then on, no call of MLflow's client comes through.
Imports no pytest: models could tell by it that they are tested.
"""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from pathlib import Path
from types import FunctionType
from typing import Any

POINTS_FILE = "points.txt"
_STEP = "step.<locals>.decorate.<locals>.call"
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Run the command of the arguments with what its strike orders."""
    strike = json.loads(sys.argv[1])
    sys.argv = ["case-monitor", *sys.argv[2:]]
    _make_cheap()
    _hurry()
    if strike.get("seconds") is not None:
        _kill_after(strike["seconds"], both=strike["both"])
    if strike.get("records") or strike.get("at") is not None:
        _watch_points(_Points(strike).pass_by)
    if strike.get("racers"):
        _race(strike["racers"])
    from case_monitor.cli.supervision import main as command

    with _prefect(strike.get("prefect")):
        command()


def _prefect(api: str | None) -> AbstractContextManager[object]:
    """Flows are runs of Prefect where its address is given; a server that is gone is not asked for half a minute."""
    if api is None:
        return nullcontext()
    from prefect.settings import PREFECT_API_URL, PREFECT_CLIENT_MAX_RETRIES, temporary_settings

    return temporary_settings({PREFECT_API_URL: api, PREFECT_CLIENT_MAX_RETRIES: 1})


class _Points:
    """Counts the points that are passed, in the thread that runs the flow, and strikes at one of them."""

    def __init__(self, strike: dict[str, Any]) -> None:
        self._strike, self._passed = strike, 0
        self._thread = threading.get_ident()
        self._striking = self._is_gone = False

    def pass_by(self, name: str) -> None:
        if threading.get_ident() != self._thread or self._striking:
            return
        if self._is_gone and name.startswith("MLflow"):
            from mlflow.exceptions import MlflowException

            raise MlflowException("MLflow is gone")
        if self._strike.get("records"):
            with Path(POINTS_FILE).open("a", encoding="utf-8") as file:
                file.write(f"{name}\n")
        if self._strike.get("at") in {self._passed, name}:
            self._striking = True
            if self._strike["deed"] == "gone":
                self._is_gone = True
            else:
                DEEDS[self._strike["deed"]](self._strike)
            self._striking = False
        self._passed += 1


def _kill(strike: dict[str, Any]) -> None:
    if strike["both"]:
        os.kill(os.getppid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _fill(strike: dict[str, Any]) -> None:
    """Leave no byte of a file system; the ballast is as large as what was free."""
    folder = Path(strike["folder"])
    with (folder / "ballast").open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


def _run(strike: dict[str, Any]) -> None:
    subprocess.run(strike["command"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _remove(strike: dict[str, Any]) -> None:
    for file in Path(strike["folder"]).glob(strike["files"]):
        file.unlink()


def _shift_clock(strike: dict[str, Any]) -> None:
    """The clock that our own modules read jumps; that of the kernel, of SQLAlchemy's drivers and of MLflow does not."""
    from datetime import datetime, timedelta, tzinfo

    jump = timedelta(seconds=strike["jump_s"])

    class Shifted(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> "Shifted":  # type: ignore[override]
            found = datetime.now(tz) + jump
            return cls(*found.timetuple()[:6], found.microsecond, found.tzinfo)

    for name, module in list(sys.modules.items()):
        if name.startswith("case_monitor.") and vars(module).get("datetime") is datetime:
            vars(module)["datetime"] = Shifted


DEEDS: dict[str, Callable[[dict[str, Any]], None]] = {
    "kill": _kill,
    "fill": _fill,
    "run": _run,
    "remove": _remove,
    "clock": _shift_clock,
}


def _watch_points(pass_by: Callable[[str], None]) -> None:
    from mlflow.tracking import MlflowClient
    from sqlalchemy import Engine, event

    for module in [module for name, module in sys.modules.items() if name.startswith("case_monitor.steps")]:
        for name, value in list(vars(module).items()):
            if isinstance(value, FunctionType) and value.__code__.co_qualname == _STEP:
                setattr(module, name, _watched(value, f"step {name}", pass_by))
    for name, value in list(vars(MlflowClient).items()):
        if isinstance(value, FunctionType) and not name.startswith("_"):
            setattr(MlflowClient, name, _watched(value, f"MLflow {name}", pass_by))
    event.listen(Engine, "commit", lambda connection: pass_by(f"commit {_shown(connection.engine.url.database)}"))


def _shown(database: str | None) -> str:
    return "of MLflow" if database and "mlflow" in Path(database).name else "of results"


def _watched(call: Callable[..., Any], name: str, pass_by: Callable[[str], None]) -> Callable[..., Any]:
    @wraps(call)
    def watched(*args: Any, **kwargs: Any) -> Any:
        pass_by(name)
        result = call(*args, **kwargs)
        if name in {"step move_alias", "step confirm_decision"}:
            pass_by(f"after {name}")
        return result

    return watched


def _make_cheap() -> None:
    """Reports that nobody reads take longer than all the rest."""
    from case_monitor.evidence import made

    def write_reports(_evaluation: object, _baseline: object, directory: Path) -> list[Path]:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "unwritten.html").write_text("<p>unwritten</p>")
        return []

    made.write_reports = write_reports


def _hurry() -> None:
    """As often as ever, without the 20 seconds between."""
    from case_monitor.steps import running

    running.RETRY_DELAYS_S = (0.01, 0.02, 0.05)


def _kill_after(seconds: float, *, both: bool) -> None:
    """A process that kills this one's child after a time, or it and this one."""
    victim = os.getpid()
    if os.fork():
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    time.sleep(seconds)
    children = Path(f"/proc/{victim}/task/{victim}/children").read_text().split()
    if both:
        os.kill(victim, signal.SIGSTOP)  # so that it sees nothing of its child's end
    for child in map(int, children):
        if child != os.getpid() and _is_command(child):
            os.kill(child, signal.SIGKILL)
    if both:
        os.kill(victim, signal.SIGKILL)
    os._exit(0)


def _is_command(pid: int) -> bool:
    """The forked command, and not a server that it started."""
    try:
        return b"fork_server" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _race(racers: list[list[str]]) -> None:
    """Each in a process of its own, all at once; their ends go into `racer-<i>.code`, `.out` and `.err`."""
    started = []
    for i, arguments in enumerate(racers):
        pid = os.fork()
        if pid == 0:
            for number, name in ((1, "out"), (2, "err")):
                os.dup2(os.open(f"racer-{i}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), number)
            sys.argv = ["case-monitor", *arguments]
            from case_monitor.cli.supervision import main as command

            command()
        started.append(pid)
    for i, pid in enumerate(started):
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        Path(f"racer-{i}.code").write_text(str(code), encoding="utf-8")
    sys.exit(0)
