"""A process that was forked from the fork server: connected to this one, and ended with whatever it started."""

import os
import signal
import socket
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path

from case_monitor.domain.errors import ConfinementError
from case_monitor.isolation.scratch import remove
from case_monitor.isolation.servers import ForkServer, ServerGoneError, fork_server
from case_monitor.isolation.words import OF_MODELS, Words

_TELLING = {
    signal.SIGKILL: "was killed, as happens where memory runs out",
    signal.SIGXCPU: "took more processor time than isolation.hours allows",
    signal.SIGXFSZ: "wrote a larger file than is allowed",
    signal.SIGSYS: "made a system call that no model may make",
}


class Started:
    """Such a process.

    Attributes:
        connection: to it; whoever reads there finds out when it is gone.
        pid: its number.

    Args:
        title: whose it is, for the log of what it prints.
        request: what the server is to do, without a folder to write in.
        logger: the name of the log of what it prints.
    """

    def __init__(self, title: str, request: Mapping[str, object], logger: str = OF_MODELS) -> None:
        self._of = os.getpid()
        self.connection, theirs = socket.socketpair()
        read, write = os.pipe()
        scratch = Path(tempfile.mkdtemp(prefix="case-monitor-"))
        try:
            with theirs, open(write, "wb") as theirs_to_say:
                given = [theirs.fileno(), theirs_to_say.fileno()]
                server, self.pid = _started({**request, "scratch": str(scratch)}, given)
        except BaseException:
            self.connection.close()
            os.close(read)
            remove(scratch)
            raise
        self._words = Words(title, read, logger)
        self._end = weakref.finalize(self, _end, server, self.pid, self.connection, scratch, self._of)

    @property
    def usable(self) -> bool:
        """Whether this process started it, and not one that it was forked from, and it is not ended."""
        return self._of == os.getpid() and self._end.alive

    def end(self) -> int | None:
        """End it, and what it started; its exit status, negative for a signal."""
        status: int | None = self._end()
        return status

    def told(self) -> str:
        """What became of one that is gone, and what it said last."""
        return f"{_told(self.end())}{self.last_words()}"

    def last_words(self) -> str:
        """What it said last, for the end of a sentence."""
        return self._words.last()


def _started(request: Mapping[str, object], given: Sequence[int]) -> tuple[ForkServer, int]:
    """The server that started it, and its number."""
    server = fork_server()
    try:
        return server, server.ask(request, given)["pid"]
    except ServerGoneError:  # it was ended since it was looked at; what it may have started has ended with it
        server = fork_server()
        return server, server.ask(request, given)["pid"]


def _told(status: int | None) -> str:
    """What became of a process, by its exit status."""
    if status is None:
        return "was ended, with the one that it was started from"
    if status >= 0:
        return f"ended itself with exit code {status}"
    known = {int(number): number for number in signal.Signals}.get(-status)  # real-time signals have no names
    if known in _TELLING:
        return _TELLING[known]
    return f"was ended by signal {known.name if known else -status}"


def _end(server: ForkServer, pid: int, connection: socket.socket, scratch: Path, of: int) -> int | None:
    connection.close()
    if os.getpid() != of:
        return None  # it is the process's that this one was forked from
    try:
        status: int = server.ask({"do": "end", "pid": pid})["status"]
    except ConfinementError:
        remove(scratch)  # and the process has ended with the server
        return None
    return status
