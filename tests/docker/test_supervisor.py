"""The supervisor of the stack, with small real processes."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

DOCKER = Path(__file__).parents[2] / "docker" / "local"

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Run a program that has a supervisor `s` and `sh(name, script, ready)`; its working directory is `tmp_path`."""
    started: list[subprocess.Popen[str]] = []

    def run(program: str) -> "subprocess.Popen[str]":
        head = f"""
            import os, sys
            sys.path.insert(0, {str(DOCKER)!r})
            from supervisor import *
            import supervisor
            supervisor.GRACE_S = 1
            def sh(name, script, ready=None):
                return Process(name=name, command=("/bin/sh", "-c", script), environment=os.environ, ready=ready)
            def there(name):
                return lambda: os.path.exists(name)
            s = Supervisor(say=lambda line: print(line, flush=True), width=4)
        """
        text = textwrap.dedent(head) + textwrap.dedent(program)
        process = subprocess.Popen(
            [sys.executable, "-c", text],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def until(condition: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < give_up
        time.sleep(0.05)


def alive(file: Path) -> bool:
    pid = int(file.read_text())
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def test_stages_start_in_order_and_stop_in_the_opposite_order(start: Start, tmp_path: Path) -> None:
    process = start("""
        def server(name, before):
            script = f'''
                test -e {before} || exit 7
                trap 'echo {name} stops; exit 0' TERM
                sleep 0.3; touch {name}; while :; do sleep 0.05; done
            '''
            return sh(name, script, there(name))
        with s.signals():
            try:
                s.up([[sh("job", "sleep 0.3; touch job")], [server("a", "job")], [server("b", "a")]], 20)
                print("ready", flush=True)
                s.watch()
            except Stopped:
                s.down()
    """)
    until((tmp_path / "b").exists)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    lines = [line for line in out.splitlines() if "stops" in line or line == "ready"]
    assert lines in (["ready", "b    | b stops", "a    | a stops"], ["b    | b stops", "a    | a stops"])


def test_a_process_that_ends_is_named_with_its_last_lines(start: Start) -> None:
    process = start("""
        try:
            s.up([[sh("srv", "touch srv; echo first; sleep 1; echo it broke >&2; exit 3", there("srv"))]], 20)
            s.watch()
        except StackError as error:
            s.down()
            sys.exit(str(error))
    """)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert out.endswith("srv ended with exit code 3; its last lines:\n    first\n    it broke\n")


def test_a_server_that_ends_with_0_has_ended_too(start: Start) -> None:
    out, _ = start("""
        try:
            s.up([[sh("srv", "exit 0", there("never"))]], 20)
        except StackError as error:
            print(error)
    """).communicate(timeout=20)
    assert "srv ended with exit code 0" in out


def test_what_is_not_ready_in_time_is_named(start: Start) -> None:
    out, _ = start("""
        try:
            s.up([[sh("good", "touch good; sleep 60", there("good")), sh("slow", "sleep 60", there("never"))]], 1)
        except StackError as error:
            s.down()
            print(error)
    """).communicate(timeout=20)
    assert out.endswith("not ready within 1 s: slow\n")


def test_what_does_not_stop_is_killed_and_so_is_what_hid_in_another_session(start: Start, tmp_path: Path) -> None:
    process = start("""
        script = '''
            setsid sh -c 'echo $$ > hidden; while :; do sleep 0.1; done' &
            trap "" TERM; echo $$ > deaf; touch ready; while :; do sleep 0.1; done
        '''
        s.up([[sh("deaf", script, lambda: os.path.exists("ready") and os.path.exists("hidden"))]], 20)
        s.down()
    """)
    out, _ = process.communicate(timeout=30)
    assert "stack: deaf did not stop within 1 s, and was killed" in out
    assert not alive(tmp_path / "deaf")
    assert not alive(tmp_path / "hidden")


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel must know of parents and orphans")
def test_a_killed_supervisor_takes_its_processes_along(start: Start, tmp_path: Path) -> None:
    process = start("""
        s.up([[sh("srv", "echo $$ > pid; exec sleep 60", there("pid"))]], 20)
        open("up", "w").close()
        s.watch()
    """)
    until((tmp_path / "up").exists)
    until(lambda: (tmp_path / "pid").read_text().endswith("\n"))
    os.kill(process.pid, signal.SIGKILL)
    until(lambda: not alive(tmp_path / "pid"))


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel must know of parents and orphans")
def test_orphans_leave_no_zombies(start: Start, tmp_path: Path) -> None:
    process = start("""
        s.up([[sh("srv", "(sh -c 'echo $$ > orphan' &) ; exec sleep 60", there("orphan"))]], 20)
        s.watch()
    """)
    until(lambda: (tmp_path / "orphan").exists() and (tmp_path / "orphan").read_text().endswith("\n"))
    until(lambda: not psutil.pid_exists(int((tmp_path / "orphan").read_text())))
    assert process.poll() is None
