"""The process that models' processes are forked from, and those that measure: it has imported what they need.

It knows no secret. Requests come as datagrams of JSON with descriptors; each is answered, in order. It ends, and all
that it started with it, when nobody is left who could ask.
"""

import contextlib
import gc
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from case_monitor.domain.isolation import Limits
from case_monitor.isolation.confine.environment import replace_environment
from case_monitor.isolation.confine.kernel import prctl
from case_monitor.isolation.confine.level import confine, lacking
from case_monitor.isolation.confine.process import close_other_descriptors, die_with_parent, stay_unreadable
from case_monitor.isolation.confine.readable import default_readable
from case_monitor.isolation.frames import Wire
from case_monitor.isolation.scratch import remove
from case_monitor.isolation.serve import serve
from case_monitor.isolation.servers import adopt_server, socket_pair

_MOST = 1 << 16
_MEASURES = "case_monitor.measuring_process.serve"
_IMPORTED = ("torch._dynamo", _MEASURES)  # the first is how torch looks at a model: over a second, for each of them
_SUBREAPER = 36  # PR_SET_CHILD_SUBREAPER: what a model's process leaves behind becomes ours to end


def main(descriptor: int) -> None:
    """Answer on an inherited socket."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):  # the other end knows when somebody wants to stop
        signal.signal(number, signal.SIG_IGN)
    _adopt()
    for name in _IMPORTED:
        import_module(name)
    gc.collect()
    gc.freeze()  # so that a fork copies no page only because something was counted
    _Server(socket.socket(fileno=descriptor)).run()


def _adopt() -> None:
    if sys.platform == "linux":
        prctl(_SUBREAPER, 1)


class _Server:
    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._running: dict[int, Path] = {}  # a process, and its scratch folder
        self._others: set[int] = set()  # servers like this one
        self._servers_of: dict[int, int] = {}  # of processes that measure

    def run(self) -> None:
        try:
            while True:
                content, descriptors, _, _ = socket.recv_fds(self._control, _MOST, 4)
                if not content:
                    return
                request = json.loads(content)
                if request["do"] == "fork":
                    self._fork(descriptors[0])
                else:
                    answer = {"to": request["number"], **self._answer(request, descriptors)}
                    self._control.sendall(json.dumps(answer).encode())
        except OSError:
            return  # nobody is there to be answered
        finally:
            for pid in list(self._running):
                self._end(pid)

    def _answer(self, request: Mapping[str, Any], descriptors: list[int]) -> Mapping[str, Any]:
        if request["do"] == "end":
            return {"status": self._end(request["pid"])}
        if request["do"] == "measure":
            return {"pid": self._measure(request, descriptors)}
        return {"pid": self._start(_be_a_models, request, descriptors)}

    def _measure(self, request: Mapping[str, object], descriptors: list[int]) -> int:
        """A process that measures, with a server of its own for the models that it asks."""
        ours, theirs = socket_pair()
        server = self._fork(theirs.detach())
        pid = self._start(_be_measuring, request, [*descriptors, ours.detach()])
        self._servers_of[pid] = server
        return pid

    def _start(self, become: Callable[..., NoReturn], request: Mapping[str, Any], descriptors: list[int]) -> int:
        server = os.getpid()
        pid = os.fork()
        if pid == 0:
            become(server, request, *descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        self._running[pid] = Path(request["scratch"])
        return pid

    def _end(self, pid: int) -> int | None:
        """End a process and what it started; its exit status, negative for a signal. None: there is none."""
        scratch = self._running.pop(pid, None)
        if scratch is None:
            return None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # its own session; until it is waited for, nobody else has its number
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        self._end_orphans()
        if server := self._servers_of.pop(pid, None):
            os.waitpid(server, 0)  # it ends its models, now that nobody asks: they write below the scratch folder
            self._others.discard(server)
        remove(scratch)
        return os.waitstatus_to_exitcode(status)

    def _end_orphans(self) -> None:
        """Processes that a model's process started, and that are ours since it is gone."""
        while orphans := _children() - self._running.keys() - self._others:
            for orphan in orphans:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(orphan, 0)

    def _fork(self, descriptor: int) -> int:
        """Another server like this one, for another process than the one that asks here."""
        pid = os.fork()
        if pid == 0:
            with contextlib.suppress(BaseException):
                os.setsid()
                close_other_descriptors(keep=(descriptor,))
                _adopt()
                _Server(socket.socket(fileno=descriptor)).run()
            os._exit(0)
        os.close(descriptor)
        kept = set(self._servers_of.values())  # they are waited for when they are to end
        gone = {other for other in self._others - kept if os.waitpid(other, os.WNOHANG)[0]}
        self._others = self._others - gone | {pid}
        return pid


def _children() -> set[int]:
    try:
        return {int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()}
    except OSError:
        return set()  # not on this system


def _be_a_models(server: int, request: Mapping[str, Any], connection: int, words: int) -> NoReturn:
    """In the new process: become what a model may have, then answer. Nothing runs after it."""
    code = 1
    try:
        os.dup2(words, 1)
        os.dup2(words, 2)
        readable = [*default_readable(), *map(Path, (*request["files"], *request["readable"]))]
        limits = Limits(**request["limits"])
        shut = confine(readable, Path(request["scratch"]), limits, keep=(1, 2, connection), parent=server)
        sys.path.extend(request["readable"])
        wire = Wire(socket=socket.socket(fileno=connection), most_head=1 << 28)
        wire.send({"is": "shut in", "level": shut.level, "lacking": shut.lacking})
        serve(wire)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _be_measuring(server: int, request: Mapping[str, Any], connection: int, words: int, control: int) -> NoReturn:
    """In the new process: become the one that measures, which has models of its own started by a server of its own."""
    code = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        os.dup2(words, 1)
        os.dup2(words, 2)
        sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr] # it is the file that Python opens
        os.setsid()
        os.chdir(request["scratch"])
        close_other_descriptors(keep=(1, 2, connection, control))
        replace_environment(Path(request["scratch"]))
        die_with_parent(server)
        if lacking():
            stay_unreadable()  # else a model could read its memory, and change it
        adopt_server(socket.socket(fileno=control))
        import_module(_MEASURES).serve(Wire(socket=socket.socket(fileno=connection)))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)
