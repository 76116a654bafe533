"""The measuring process, from the one that judges: what it knows, what it says, and what is left when either ends.

About 15 processor seconds, most of them two imports of torch by judges that are stopped.
"""

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
import torch

from case_monitor.domain.errors import CaseMonitorError, ConfigError, DataError, EngineError
from case_monitor.isolation.frames import Wire
from case_monitor.isolation.servers import fork_server
from case_monitor.measuring_process.local import LocalPlace
from case_monitor.measuring_process.process import Held, MeasuringProcess
from case_monitor.measuring_process.remote import RemotePlace
from case_monitor.settings import FunctionSplit, NpzSplit
from tests.isolation.models import is_running, left_behind
from tests.isolation.test_servers import wait_until_gone
from tests.measuring_process.judging import SLEEPS, descendants, measuring

HERE = "tests.measuring_process.surroundings"


def function(name: str, **arguments: Any) -> FunctionSplit:
    return FunctionSplit(kind="function", function=f"{HERE}:{name}", arguments=arguments)


def classes(process: MeasuringProcess, spec: FunctionSplit) -> tuple[str, ...]:
    """What the function saw there."""
    opened = process.ask(None, "open_split", (spec,))
    names: tuple[str, ...] = opened.ask("prepared", None, None).ask("split").class_names
    return names


def test_what_measured_is_what_is_recorded() -> None:
    place = RemotePlace()
    assert place.torch_version == torch.__version__
    assert place.pick_device("cpu") == "cpu"
    place.end()


class TestSurroundings:
    def test_it_knows_no_environment_and_no_directory_but_where_the_teams_own_code_runs(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        fork_server()
        monkeypatch.setenv("CANARY", "kanarienvogel")
        monkeypatch.chdir(tmp_path)
        for own_code in (False, True):
            process = MeasuringProcess(own_code=own_code)
            seen, directory = classes(process, function("split", variable="CANARY"))
            assert seen == ("kanarienvogel" if own_code else "no variable")
            assert (directory == str(tmp_path)) == own_code
            process.end()

    def test_a_place_for_a_function_is_one_that_knows(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CANARY", "kanarienvogel")
        spec = function("split", variable="CANARY")
        place = RemotePlace(spec)
        assert place.open_split(spec).prepared(None, None).split.class_names[0] == "kanarienvogel"
        place.end()

    def test_nothing_is_open_there_but_its_connections(self, tmp_path: Path) -> None:
        with (tmp_path / "open").open("w") as file:
            os.set_inheritable(file.fileno(), True)
            process = MeasuringProcess()
            seen, _ = classes(process, function("descriptors"))
            assert seen == "/dev/null, pipe, pipe, socket, socket"
            process.end()

    def test_its_logs_are_this_processs(self, caplog: pytest.LogCaptureFixture) -> None:
        process = MeasuringProcess()
        classes(process, function("split", variable="CANARY"))
        assert ("case_monitor.model", logging.WARNING, "reads its images") in caplog.record_tuples
        process.end()


class TestErrors:
    @pytest.mark.parametrize("spec", [NpzSplit(kind="npz", path=Path("/nowhere.npz")), function("nothing")])
    def test_ours_keep_class_and_words(self, spec: Any) -> None:
        place = RemotePlace(spec)
        raised = []
        for of in (place, LocalPlace()):
            with pytest.raises(CaseMonitorError) as caught:
                of.open_split(spec)
            raised.append((caught.type, str(caught.value)))
        assert raised[0] == raised[1]
        place.pick_device("cpu")  # it goes on
        place.end()

    def test_others_are_one_line_without_secrets(self) -> None:
        place = RemotePlace(function("strange"))
        with pytest.raises(DataError) as caught:
            place.open_split(function("strange"))
        assert "\x1b" not in str(caught.value)
        assert str(caught.value).splitlines() == [str(caught.value)]
        assert "secret" not in str(caught.value)
        place.end()

    def test_a_mistake_of_ours_is_named(self) -> None:
        process = MeasuringProcess()
        with pytest.raises(AttributeError, match="no_such_thing"):
            process.ask(None, "no_such_thing", ())
        assert process.ask(None, "pick_device", ("cpu",)) == "cpu"
        with pytest.raises(ConfigError, match="'warp' cannot be used"):
            process.ask(None, "pick_device", ("warp",))
        process.end()

    def test_one_that_ends_itself_is_said_to(self) -> None:
        place = RemotePlace(function("ends"))
        for _ in range(2):
            with pytest.raises(EngineError, match=r"^the process that measures ended itself with exit code 3"):
                place.open_split(function("ends"))


class Peer:
    """In place of a process that was started: the other end of its connection is the test's."""

    usable, last_words = True, ""

    def __init__(self, *heads: dict[str, Any]) -> None:
        self.connection, self._theirs = socket.socketpair()
        self.ended = False
        for head in heads:
            Wire(socket=self._theirs).send(head)

    def end(self) -> None:
        self.ended = True

    def told(self) -> str:
        return "was killed"


@pytest.mark.parametrize(
    "head",
    [
        {"is": "loaded"},
        {"is": "answer"},
        {"is": "answer", "value": [1]},
        {"is": "answer", "value": {"record": "Isolation", "fields": {}}},
        {"is": "progress", "stage": 1, "done": 1, "total": 1},
        {"is": "log", "level": "high", "logger": "root", "says": "hello"},
    ],
)
def test_what_is_no_answer_ends_it(head: dict[str, Any]) -> None:
    process, peer = MeasuringProcess(), Peer(head)
    process._started = peer  # type: ignore[assignment]
    with pytest.raises(EngineError, match=r"^the process that measures answered what is no answer: "):
        process.ask(None, "pick_device", ("cpu",))
    assert peer.ended
    with pytest.raises(EngineError, match="answered what is no answer, and was ended; run the command again"):
        process.ask(None, "pick_device", ("cpu",))


def test_who_cannot_be_told_of_progress_is_not_taken_for_the_process() -> None:
    process, peer = MeasuringProcess(), Peer({"is": "progress", "stage": "predict", "done": 1, "total": 2})
    process._started = peer  # type: ignore[assignment]

    def closed(*_: object) -> None:
        raise BrokenPipeError("standard error")

    with pytest.raises(BrokenPipeError, match="standard error"):
        process.ask(None, "pick_device", ("cpu",), closed)
    assert peer.ended


def test_an_error_of_no_known_class_says_its_name() -> None:
    for kind, expected in (("SystemExit", RuntimeError), ("Quaint", RuntimeError), ("MemoryError", MemoryError)):
        process, peer = MeasuringProcess(), Peer({"is": "error", "kind": kind, "says": "no\nmore"})
        process._started = peer  # type: ignore[assignment]
        with pytest.raises(expected, match="no more"):
            process.ask(None, "pick_device", ("cpu",))


def test_who_is_interrupted_while_it_asks_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    place = RemotePlace()
    place.pick_device("cpu")
    before = left_behind()
    started = place._process._started
    assert started is not None

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("case_monitor.measuring_process.process.Wire.receive", interrupted)
    with pytest.raises(KeyboardInterrupt):
        place.pick_device("cpu")
    wait_until_gone(started.pid)
    assert not {name for name in left_behind() & before if "case-monitor" in name}


def test_forgotten_things_are_forgotten_there() -> None:
    process = MeasuringProcess()
    opened = process.ask(None, "open_split", (function("split", variable="CANARY"),))
    number = opened.number
    del opened
    process.ask(None, "pick_device", ("cpu",))
    with pytest.raises(KeyError):
        Held(process, number).ask("about")
    process.end()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_judge_that_is_stopped(number: signal.Signals, tmp_path: Path) -> None:
    judge = Path(__file__).parent / "judging.py"
    with subprocess.Popen(
        [sys.executable, str(judge)], env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = json.loads(process.stdout.readline())
        assert len(pids) == 4  # the server, who measures, its server, and a model
        assert all(map(is_running, pids))
        assert list(tmp_path.glob("case-monitor-*"))
        process.send_signal(number)
    for pid in pids:
        wait_until_gone(pid)
    assert list(tmp_path.glob("case-monitor-*")) == []


def test_killed_while_a_model_works_nothing_is_left_but_a_line(tmp_path: Path) -> None:
    before = left_behind()
    with measuring(tmp_path) as (place, layer):
        started = place._process._started
        assert started is not None
        parts = layer.predict("predict")
        next(parts)
        below = descendants(fork_server()._process.pid)  # type: ignore[union-attr]
        assert started.pid in below
        assert len(below) >= 3
        timer = threading.Timer(0.2, os.kill, (started.pid, signal.SIGKILL))
        timer.start()
        with pytest.raises(EngineError, match=r"^the process that measures was killed, as happens where memory runs"):
            place._process.ask(None, "open_split", (SLEEPS,))
        timer.join()
        parts.close()
        for pid in below:
            wait_until_gone(pid)
    assert {name for name in left_behind() if "case-monitor" in name} <= before
