"""Starting and ending model's processes, by a fork server of this process's own."""

import atexit
import contextlib
import itertools
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import case_monitor
from case_monitor.domain.errors import ConfinementError
from case_monitor.isolation.confine.environment import scrubbed
from case_monitor.isolation.confine.level import lacking
from case_monitor.isolation.confine.process import stay_unreadable

_HERE = Path(case_monitor.__file__).parent.parent
_BEGIN = "import sys; sys.path[:] = {path}; from case_monitor.isolation.fork_server import main; main({descriptor})"
_MOST = 1 << 16
_PATIENCE_S = 600.0  # it imports torch before it answers first; a model can stop it where nothing confines
_KIND = socket.SOCK_SEQPACKET if sys.platform == "linux" else socket.SOCK_STREAM


class ServerGoneError(ConfinementError):
    """The fork server ended before it answered, and with it whatever it had started."""


class ForkServer:
    """A process that imports torch once, and is forked for every model."""

    def __init__(self) -> None:
        if lacking():
            stay_unreadable()  # else a model could read this process's environment and memory
        self._control, theirs = socket_pair()
        self._prepare()
        with theirs:
            code = _BEGIN.format(path=_path(), descriptor=theirs.fileno())
            self._process: subprocess.Popen[bytes] | None = subprocess.Popen(  # noqa: S603 - ourselves
                [sys.executable, "-I", "-W", "ignore", "-c", code],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=scrubbed(os.environ, Path(tempfile.gettempdir())),
                cwd=tempfile.gettempdir(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )

    def _prepare(self) -> None:
        self._turn, self._numbers = threading.Lock(), itertools.count()
        self._control.settimeout(_PATIENCE_S)

    @property
    def gone(self) -> bool:
        """Whether nobody is there to be asked."""
        if self._control.fileno() < 0:
            return True
        poll = select.poll()
        poll.register(self._control, 0)  # whether the other end is closed is told unasked
        return bool(poll.poll(0))

    def ask(self, request: Mapping[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        """Its answer.

        Raises:
            ServerGoneError: it is gone.
            ConfinementError: it does not answer, and is given up.
        """
        with self._turn:
            number = next(self._numbers)
            try:
                content = json.dumps({**request, "number": number}).encode()
                socket.send_fds(self._control, [content], descriptors)
                while content := self._control.recv(_MOST):
                    answer: dict[str, object] = json.loads(content)
                    if answer["to"] == number:  # who was interrupted has left an answer behind
                        return answer
            except TimeoutError:
                self._control.close()  # an answer that comes late is nobody's
                raise ConfinementError("the process that models' processes are started from does not answer") from None
            except OSError:
                self._control.close()
        raise ServerGoneError("the process that models' processes are started from is gone; try again")

    def forked(self) -> "ForkServer":
        """Another like it, for a process that was forked from the one that started this one."""
        ours, theirs = socket_pair()
        with theirs:
            # The answer may be read by another process that holds the same socket: none is waited for.
            socket.send_fds(self._control, [json.dumps({"do": "fork"}).encode()], [theirs.fileno()])
        return ForkServer.at(ours)

    @classmethod
    def at(cls, connection: socket.socket) -> Self:
        """The one that was started for this process by another."""
        server = cls.__new__(cls)
        server._control, server._process = connection, None
        server._prepare()
        return server

    def close(self) -> None:
        """End it, and all that it started."""
        self._control.close()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(10)


class _Servers:
    """The one of this process, started when it is first needed."""

    def __init__(self) -> None:
        self._server: ForkServer | None = None
        self._of = os.getpid()
        self._turn = threading.Lock()
        os.register_at_fork(after_in_child=self._after_fork)
        atexit.register(self.close)

    def get(self) -> ForkServer:
        with self._turn:
            if self._server is not None and self._of != os.getpid():
                self._server = self._forked(self._server)
            if self._server is not None and self._server.gone:
                self._server.close()
                self._server = None
            if self._server is None:
                self._server = ForkServer()
            self._of = os.getpid()
            return self._server

    def adopt(self, connection: socket.socket) -> None:
        """Have this process served by a server that was started for it."""
        self._server, self._of = ForkServer.at(connection), os.getpid()

    def _forked(self, server: ForkServer) -> ForkServer | None:
        try:
            return server.forked()
        except OSError:
            return None  # it is gone

    def close(self) -> None:
        if self._server is not None and self._of == os.getpid():
            self._server.close()
            self._server = None

    def _after_fork(self) -> None:
        self._turn = threading.Lock()


def socket_pair() -> tuple[socket.socket, socket.socket]:
    """Between a server and whom it serves."""
    return socket.socketpair(socket.AF_UNIX, _KIND)


def _path() -> list[str]:
    """Where modules are, as here; without the current directory, which is another one there."""
    return [str(_HERE), *(entry for entry in sys.path if Path(entry).is_absolute())]


_servers = _Servers()
fork_server = _servers.get
adopt_server = _servers.adopt
