"""The exit code of a command is its verdict, however the process that runs the model ends."""

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import create_engine, text

from case_monitor.registry import model_metadata
from tests.support.commands import registry_of, run_cli
from tests.support.forked_commands import Forked

PREAMBLE = """
import atexit, os, signal, sys, time
import case_monitor.cli.supervision as supervision
sys.argv = {argv}
def begin():
    print("begun", os.getpid(), flush=True)
def run_command():
    {body}
supervision.run_command = run_command
supervision.main()
"""
INTERRUPTIBLE = """
    try:
        begin()
        time.sleep(60)
    except KeyboardInterrupt:
        time.sleep(0.5)  # a second one would not be handled
        return 130
"""
MODELS = """
import atexit, os, sys
from torch import nn

class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def forward(self, images):
        return self.head(self.features(images).mean((-2, -1)))

class LeavesWhenLoaded(Network):
    def __setstate__(self, state):
        sys.exit(0)

class LeavesWhenCalled(Network):
    def forward(self, images):
        sys.exit(0)

class LeavesForGood(Network):
    def forward(self, images):
        os._exit(0)

class LeavesInTheEnd(Network):
    def __setstate__(self, state):
        super().__setstate__(state)
        atexit.register(os._exit, 0)
"""


def started(body: str, *argv: str, **options: object) -> "subprocess.Popen[str]":
    """The supervisor over a command that does no more than this, begun."""
    code = PREAMBLE.format(argv=["case-monitor", *(argv or ("check", "m/1"))], body=body)
    return subprocess.Popen(
        [sys.executable, "-c", code], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, str]:
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def pid_of_the_child(process: "subprocess.Popen[str]") -> int:
    assert process.stdout is not None
    return int(process.stdout.readline().split()[1])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ("return 0", 0),
        ("return 1", 1),
        ("return 3", 3),
        ("atexit.register(os._exit, 0); return 3", 3),
        ("atexit.register(os._exit, 9); return 0", 0),
    ],
)
def test_the_code_is_what_the_command_came_to(body: str, code: int) -> None:
    assert ended(started(body)) == (code, "")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("os._exit(0)", "ended by itself with 0"),
        ("os._exit(7)", "ended by itself with 7"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("atexit.register(os.kill, os.getpid(), signal.SIGABRT); return 0", "was killed by SIGABRT"),
        ("[os.write(fd, b'0\\n') for fd in range(3, 9) if os.path.exists(f'/dev/fd/{fd}')]; return 1", "by itself"),
    ],
)
def test_a_process_without_a_verdict_could_not_run(body: str, words: str) -> None:
    code, err = ended(started(body))
    assert code == 2
    assert err.splitlines()[-1].startswith("error: the process ")
    assert words in err.splitlines()[-1]


def test_the_line_is_json_where_logs_are() -> None:
    process = started("os._exit(0)", env={**os.environ, "CASE_MONITOR_LOG_FORMAT": "json"})
    code, err = ended(process)
    assert (code, json.loads(err)["level"]) == (2, "error")


@pytest.mark.parametrize("argv", [("gate", "m/1", "--wait"), ("db", "upgrade"), ("serve",)])
def test_what_runs_no_model_is_one_process(argv: tuple[str, ...]) -> None:
    process = started("begin(); return 0", *argv)
    assert pid_of_the_child(process) == process.pid
    assert ended(process)[0] == 0


def test_a_person_interrupts_it() -> None:
    process = started(INTERRUPTIBLE)
    pid_of_the_child(process)
    process.send_signal(signal.SIGINT)
    assert ended(process) == (130, "")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere it cannot be told from a signal to one process")
def test_ctrl_c_at_a_terminal_comes_once() -> None:
    pid, terminal = os.forkpty()
    if pid == 0:
        code = PREAMBLE.format(argv=["case-monitor", "check"], body=INTERRUPTIBLE)
        os.execv(sys.executable, [sys.executable, "-c", code])
    while b"begun" not in os.read(terminal, 1000):
        pass
    os.write(terminal, b"\x03")
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 130
    os.close(terminal)


def test_a_signal_that_ends_the_command_ends_the_process_likewise() -> None:
    process = started("begin(); time.sleep(60)")
    child = pid_of_the_child(process)
    process.send_signal(signal.SIGTERM)
    assert ended(process) == (-signal.SIGTERM, "")
    assert_gone(child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_nothing_is_left_when_it_is_killed() -> None:
    process = started("begin(); time.sleep(60)")
    child = pid_of_the_child(process)
    process.kill()
    assert_gone(child)
    process.communicate()


def assert_gone(pid: int) -> None:
    for _ in range(100):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail(f"{pid} still runs")


@pytest.fixture
def registered(
    tmp_path: Path, mlflow_tables: Path, log_version: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> Callable[[str, str], int]:
    """`registered(model, class)` registers a version; the configuration is in `tmp_path`."""
    (tmp_path / "mlflow.db").write_bytes(mlflow_tables.read_bytes())
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "hostile.py").write_text(MODELS)
    monkeypatch.syspath_prepend(tmp_path / "code")
    rng = np.random.default_rng(0)
    images = rng.integers(0, 255, (12, 8, 8), dtype=np.uint8)
    np.savez(tmp_path / "split.npz", images=images, labels=np.arange(12) % 2)
    split = "{split: {kind: npz, path: split.npz}}"
    (tmp_path / "case-monitor.yaml").write_text(
        "tracking_uri: sqlite:///mlflow.db\nprotocol: {methods: [case], sample_size: 8}\n"
        f"models:\n  first: {split}\n  second: {split}\n"
    )

    def register(name: str, kind: str) -> int:
        hostile = importlib.import_module("hostile")
        metadata = model_metadata(preprocessing={"mean": [0.5], "std": [0.5]})
        uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
        code = [str(tmp_path / "code" / "hostile.py")]
        try:
            return log_version(uri, name, getattr(hostile, kind)(), code_paths=code, metadata=metadata)
        finally:
            del sys.modules["hostile"]

    return register


def verdicts(folder: Path) -> list[str]:
    database = folder / "case-monitor.db"
    if not database.exists():
        return []
    with create_engine(f"sqlite:///{database}").connect() as connection:
        return list(connection.execute(text("SELECT verdict_status FROM evaluations")).scalars())


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        ("LeavesWhenLoaded", 2, "error: model first/1 ended the program: SystemExit(0)"),
        ("LeavesWhenCalled", 2, "error: model first/1 ended the program: SystemExit(0)"),
        ("LeavesForGood", 2, "error: model first/1: its process ended itself with exit code 0"),
        ("LeavesInTheEnd", 3, ""),
    ],
)
def test_no_model_says_what_its_verdict_is(
    registered: Callable[[str, str], int], tmp_path: Path, forked_cli: Forked, kind: str, code: int, words: str
) -> None:
    registered("first", kind)
    ran = forked_cli("gate", "first/1", cwd=tmp_path)
    assert ran.code == code, ran.err
    assert words in ran.err
    assert verdicts(tmp_path) == (["insufficient"] if code == 3 else [])
    assert "champion" not in registry_of(tmp_path / "case-monitor.yaml").get_registered_model("first").aliases


def test_a_model_that_ends_the_program_ends_no_night(registered: Callable[[str, str], int], tmp_path: Path) -> None:
    config = tmp_path / "case-monitor.yaml"
    for name, kind in (("first", "LeavesWhenCalled"), ("second", "Network")):
        registered(name, kind)
        registry_of(config).set_registered_model_alias(name, "champion", "1")
    ran = run_cli("nightly", cwd=tmp_path)
    assert ran.code == 2
    assert "1 of 2 models could not be checked: first (model first/1 ended the program: SystemExit(0))" in ran.err
    assert verdicts(tmp_path) == ["insufficient"]
