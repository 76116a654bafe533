"""Processes in stages: all of one stage are ready before the next one starts, and they stop in the opposite order.

Nothing here knows what the processes are. Each runs in a session of its own, so that Ctrl-C in a terminal reaches the
supervisor only, and the order of stopping is kept.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil

LAST_LINES = 20
GRACE_S = 20.0
POLL_S = 0.2
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None  # loaded before any fork


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """One process. `ready` says when the next stage may start; None is for a job, which is ready once it ended with 0.

    `stop_signal` goes to the process alone if `stop_alone`, else to its whole group.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    ready: Callable[[], bool] | None = None
    stop_signal: signal.Signals = signal.SIGTERM
    stop_alone: bool = False


class StackError(Exception):
    """A process ended, or did not become ready in time."""


class Stopped(Exception):  # noqa: N818 - nothing went wrong
    """Somebody asked to stop."""


@dataclass(slots=True, eq=False)
class _Running:
    process: Process
    popen: "subprocess.Popen[str]"
    reader: threading.Thread
    tail: "deque[str]"
    is_ready: bool = False

    def died(self) -> bool:
        """Whether it ended and should not have."""
        code = self.popen.poll()
        return code is not None and not (code == 0 and self.process.ready is None)

    def becomes_ready(self) -> bool:
        if not self.is_ready:
            ready = self.process.ready
            self.is_ready = self.popen.poll() == 0 if ready is None else ready()
        return self.is_ready

    def epitaph(self) -> str:
        """What happened, and the last lines that it wrote."""
        self.reader.join(2)
        code = self.popen.returncode
        how = f"exit code {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"
        return "\n".join([f"{self.process.name} ended with {how}; its last lines:", *(f"    {u}" for u in self.tail)])


@dataclass(slots=True, eq=False)
class Supervisor:
    """Starts, watches and stops processes. All output goes to `say`, line by line, with the name in front."""

    say: Callable[[str], None] = print
    width: int = 12
    _stages: list[list[_Running]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def signals(self) -> Iterator[None]:
        """SIGINT, SIGTERM and SIGHUP stop the stack, once; more of them are ignored while it stops."""
        names = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        before = {name: signal.signal(name, lambda *_: self._stop.set()) for name in names}
        try:
            yield
        finally:
            for name, handler in before.items():
                signal.signal(name, handler)

    def up(self, stages: Sequence[Sequence[Process]], timeout_s: float) -> None:
        """Start stage after stage.

        Raises:
            StackError: a process ended, or the whole was not ready in time.
            Stopped: a signal came.
        """
        _adopt_orphans()
        give_up = time.monotonic() + timeout_s
        for stage in stages:
            running: list[_Running] = []
            self._stages.append(running)
            running.extend(self._start(process) for process in stage)
            while not all(one.becomes_ready() for one in running):
                self._check()
                if time.monotonic() > give_up:
                    late = ", ".join(one.process.name for one in running if not one.is_ready)
                    msg = f"not ready within {timeout_s:g} s: {late}"
                    raise StackError(msg)

    def watch(self) -> None:
        """Wait until a signal comes (Stopped) or a process ends (StackError)."""
        while True:
            self._check()

    def down(self) -> None:
        """Stop everything, the last stage first, and what is left of it. Never raises on what is gone already."""
        for stage in reversed(self._stages):
            below = [child for one in stage for child in _descendants(one.popen.pid)]
            for one in stage:
                _send(one, one.process.stop_signal)
            give_up = time.monotonic() + GRACE_S
            for one in stage:
                self._bury(one, give_up)
            _end(below)  # such as a flow run, which has a session of its own; its server still runs, to hear of its end
        self._stages.clear()
        _end(_descendants(os.getpid()))

    def _bury(self, one: _Running, give_up: float) -> None:
        """Wait for it, and kill it and the rest of its group."""
        with suppress(subprocess.TimeoutExpired):
            one.popen.wait(max(0.0, give_up - time.monotonic()))
        if one.popen.poll() is None:
            self.say(f"stack: {one.process.name} did not stop within {GRACE_S:g} s, and was killed")
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(one.popen.pid, signal.SIGKILL)
        one.popen.wait()
        one.reader.join(2)

    def _start(self, process: Process) -> _Running:
        popen = subprocess.Popen(
            process.command,
            env=dict(process.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )
        tail: deque[str] = deque(maxlen=LAST_LINES)
        reader = threading.Thread(target=self._read, args=(process.name, popen, tail), daemon=True)
        reader.start()
        return _Running(process, popen, reader, tail)

    def _read(self, name: str, popen: "subprocess.Popen[str]", tail: "deque[str]") -> None:
        for line in popen.stdout or ():
            tail.append(line.rstrip())
            self.say(f"{name:{self.width}} | {line.rstrip()}")

    def _check(self) -> None:
        if self._stop.wait(POLL_S):
            raise Stopped
        self._reap()
        for stage in self._stages:
            for one in stage:
                if one.died():
                    raise StackError(one.epitaph())

    def _reap(self) -> None:
        """Let adopted orphans that have ended go."""
        if sys.platform != "linux":
            return
        ours = {one.popen.pid: one.popen for stage in self._stages for one in stage}
        with suppress(ChildProcessError):  # no child at all
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                if ended.si_pid in ours:
                    ours[ended.si_pid].poll()
                else:
                    os.waitpid(ended.si_pid, 0)


def _send(one: _Running, name: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if one.popen.poll() is None:
            (os.kill if one.process.stop_alone else os.killpg)(one.popen.pid, name)


def _prctl(option: int, argument: int) -> None:
    """Linux only; elsewhere a killed supervisor leaves its processes behind."""
    if _libc:
        _libc.prctl(option, argument, 0, 0, 0)


def _end_with_parent() -> None:
    """In the child: a supervisor that is killed takes its processes along."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _adopt_orphans() -> None:
    """Processes whose parents have ended become ours, so that `down` finds them."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _end(processes: Sequence[psutil.Process]) -> None:
    """Ask them to stop, then make them."""
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=5)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=5)
