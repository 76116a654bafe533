"""The fork server: whatever becomes of it, or of the process that it serves, nothing hangs and nothing stays."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from case_monitor.domain.errors import ConfinementError, ModelError
from case_monitor.domain.isolation import Isolation
from case_monitor.isolation.servers import ForkServer, fork_server
from tests.isolation.models import IMAGE, ROOT, confined, is_running, left_behind, predicted
from tests.isolation.networks import Network


def server_pid() -> int:
    process = fork_server()._process
    assert process is not None
    return process.pid


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + 60
    while is_running(pid):
        assert time.monotonic() < deadline, pid
        time.sleep(0.02)


@pytest.fixture
def network() -> Network:
    return Network().eval()


def test_killed_while_a_model_works(network: Network) -> None:
    with confined(network) as model:
        expected = predicted(model)
        before = left_behind()
        answers = model.predict(IMAGE, iter([IMAGE] * 9), "conv")
        next(answers)
        pid = server_pid()
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        with pytest.raises(ModelError, match=r"^model digits/1: its process was ended, with the one that it was "):
            list(answers)
        assert not {name for name in left_behind() if "case-monitor" in name} & before
        assert predicted(model).tolist() == expected.tolist()
        assert server_pid() != pid


def test_killed_between_models(network: Network) -> None:
    with confined(network) as model:
        expected = predicted(model)
    pid = server_pid()
    os.kill(pid, signal.SIGKILL)
    wait_until_gone(pid)
    with confined(network) as model:
        assert predicted(model).tolist() == expected.tolist()


def test_killed_while_it_is_asked_for_a_model(network: Network) -> None:
    with confined(network) as model:
        expected = predicted(model)
    pid = server_pid()
    os.kill(pid, signal.SIGSTOP)  # it is there when it is looked at, and never answers
    killer = threading.Timer(1.0, os.kill, (pid, signal.SIGKILL))
    killer.start()
    with confined(network) as model:
        assert predicted(model).tolist() == expected.tolist()
    killer.join()
    assert server_pid() != pid


def test_asked_to_end_it_waits_for_who_asked(network: Network) -> None:
    with confined(network) as model:
        predicted(model)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(server_pid(), number)
        pid = server_pid()
        predicted(model)
    with confined(network) as model:
        predicted(model)
    assert server_pid() == pid


def test_an_answer_that_nobody_took_is_not_taken_for_another(network: Network) -> None:
    asked = json.dumps({"do": "end", "pid": 0, "number": -1}).encode()  # by somebody who was interrupted
    socket.send_fds(fork_server()._control, [asked], [])
    with confined(network) as model:
        predicted(model)


def test_one_that_does_not_answer_is_given_up() -> None:
    server = ForkServer.__new__(ForkServer)
    server._control, other = socket.socketpair()
    server._process = None
    server._prepare()
    server._control.settimeout(0.05)
    assert not server.gone
    with (
        other,
        pytest.raises(ConfinementError, match=r"^the process that models' processes are started from does not answer$"),
    ):
        server.ask({"do": "end", "pid": 1})
    assert server.gone


def test_nothing_stays_of_many_models(network: Network) -> None:
    with confined(network) as model:
        predicted(model)
    before, threads = left_behind(), threading.active_count()
    for _ in range(20):
        with confined(network) as model:
            predicted(model)
    deadline = time.monotonic() + 30
    while (left_behind() - before or threading.active_count() > threads) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left_behind() <= before
    assert threading.active_count() <= threads
    server = server_pid()
    assert Path(f"/proc/{server}/task/{server}/children").read_text().split() == []


def test_nothing_stays_of_one_that_cannot_be_started() -> None:
    before = left_behind()
    with (
        confined(Network(), Isolation(readable=(ROOT / "nowhere",))) as model,
        pytest.raises(ModelError, match="nowhere"),
    ):
        model.load()
    deadline = time.monotonic() + 30
    while left_behind() - before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left_behind() <= before


def test_a_forked_judge_has_processes_of_its_own_and_a_killed_one_leaves_none(tmp_path: Path) -> None:
    judge = Path(__file__).parent / "judging.py"
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [sys.executable, str(judge)], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        assert told == {"status": 0, "same": True, "server": told["server"]}
        server = told["server"]
        models = [int(pid) for pid in Path(f"/proc/{server}/task/{server}/children").read_text().split()]
        assert models
        assert list(tmp_path.glob("case-monitor-*"))
        process.kill()
    for pid in (server, *models):
        wait_until_gone(pid)
    assert list(tmp_path.glob("case-monitor-*")) == []
    assert tempfile.gettempdir() != str(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's own interface")
@pytest.mark.parametrize(("lacking", "dumpable"), [("'no Landlock'", 0), ("None", 1)])
def test_who_judges_is_closed_to_a_model_that_is_not_confined(lacking: str, dumpable: int) -> None:
    code = (
        "import ctypes; from case_monitor.isolation import servers\n"
        f"servers.lacking = lambda: {lacking}\n"
        "server = servers.ForkServer(); print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)); server.close()"
    )
    ran = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, check=True)
    assert ran.stdout == f"{dumpable}\n"  # PR_GET_DUMPABLE
