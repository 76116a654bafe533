"""What the measuring process does: it answers one request after the other, until the other end is gone."""

import io
import logging
import os
import pickle
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress

from case_monitor.isolation.frames import Array, Frame, Wire
from case_monitor.measuring_process.failures import told
from case_monitor.measuring_process.local import LocalPlace
from case_monitor.measuring_process.process import ROOT, Surroundings
from case_monitor.measuring_process.records import packed


def serve(wire: Wire) -> None:
    """Answer requests until the other end is gone."""
    _Server(wire).run()


class _Server:
    def __init__(self, wire: Wire) -> None:
        self._wire, self._turn = wire, threading.Lock()
        self._held: dict[int, object] = {ROOT: LocalPlace(self._progress)}
        self._next = ROOT + 1

    def run(self) -> None:
        try:
            while True:
                frame = self._wire.receive()
                self._send(*self._answer(frame))
        except (EOFError, OSError):
            return  # nobody is there to be answered

    def _answer(self, frame: Frame) -> tuple[Mapping[str, object], Mapping[str, Array]]:
        try:
            number, name, given, forgotten = _Unpickler(frame.arrays["request"].tobytes(), self._held).load()
            for one in forgotten:
                self._held.pop(one, None)
            if name == "begin":
                self._live_as(*given)
                name, given = "torch_version", ()
            found = getattr(self._held[number], name)
            value, arrays = packed(found(*given) if callable(found) else found, self._hold)
        except StopIteration as error:
            return ({"is": "answer", "value": None} if name == "__next__" else told(error)), {}
        except Exception as error:
            return told(error), {}
        return {"is": "answer", **value}, arrays

    def _hold(self, thing: object) -> int:
        number, self._next = self._next, self._next + 1
        self._held[number] = thing
        return number

    def _live_as(self, surroundings: Surroundings) -> None:
        """As the process that judges does, as far as it says."""
        logging.getLogger().addHandler(_Sent(self))
        logging.getLogger("case_monitor").setLevel(surroundings.log_level)
        if surroundings.environment is not None:
            os.environ.clear()
            os.environ.update(surroundings.environment)
        if surroundings.directory is not None:
            os.chdir(surroundings.directory)
        if surroundings.path:
            sys.path[:] = surroundings.path

    def _progress(self, stage: str, done: int, total: int) -> None:
        self._send({"is": "progress", "stage": stage, "done": done, "total": total})

    def tell(self, record: logging.LogRecord) -> None:
        """Pass a log record on."""
        says = record.getMessage()
        self._send({"is": "log", "level": record.levelno, "logger": record.name, "says": says})

    def _send(self, head: Mapping[str, object], arrays: Mapping[str, Array] | None = None) -> None:
        with self._turn:
            self._wire.send(head, arrays)


class _Sent(logging.Handler):
    """Logs go to the process that judges."""

    def __init__(self, server: _Server) -> None:
        super().__init__()
        self._server = server

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):  # nobody is there to be told
            self._server.tell(record)


class _Unpickler(pickle.Unpickler):
    """A request of the process that judges, which this one trusts; what it names by a number is here."""

    def __init__(self, content: bytes, held: Mapping[int, object]) -> None:
        super().__init__(io.BytesIO(content))
        self._things = held

    def persistent_load(self, number: int) -> object:
        return self._things[number]
