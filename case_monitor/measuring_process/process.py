"""The measuring process, as the one that judges has it: started when it is first asked, one thing at a time; ended.

What is asked may be a pickle: the process trusts who started it. What it answers is no code (`records`).
"""

import io
import logging
import os
import pickle
import sys
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from case_monitor.domain.errors import EngineError
from case_monitor.domain.progress import Progress, no_progress
from case_monitor.isolation.frames import Frame, FrameError, Wire
from case_monitor.isolation.model_files import ModelFiles
from case_monitor.isolation.servers import fork_server
from case_monitor.isolation.started import Started
from case_monitor.isolation.words import OF_MODELS, one_line
from case_monitor.measuring_process.failures import raised
from case_monitor.measuring_process.records import unpacked

ROOT = 0
"""The number of what is there from the beginning (`LocalPlace`)."""
_WHO = "the process that measures"
_FOREIGN = "case_monitor.foreign"  # what a split of the team's own prints
_LOGGER = "case_monitor.measuring_process"
_MOST = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the process knows of the one that judges.

    Attributes:
        log_level: of this package's loggers.
        environment, directory, path: of the process that judges; None: of a scrubbed one.
    """

    log_level: int
    environment: dict[str, str] | None = None
    directory: Path | None = None
    path: tuple[str, ...] = ()


class Held:
    """What stands here for a thing that stays there; it is forgotten there with this."""

    def __init__(self, process: "MeasuringProcess", number: int) -> None:
        self.process, self.number = process, number

    def ask(self, name: str, *given: Any, progress: Progress = no_progress) -> Any:
        """Call its method, or read its attribute."""
        return self.process.ask(self, name, given, progress)

    def __del__(self) -> None:
        self.process.forget(self.number)


class MeasuringProcess:
    """One such process, with the server that models' processes are forked from.

    Args:
        own_code: it is to run code of this project's own, and has environment, directory and path as here.
    """

    def __init__(self, *, own_code: bool = False) -> None:
        fork_server()  # it imports torch beside what is done here until the process is asked
        self._own_code = own_code
        self._turn = threading.Lock()
        self._forgotten: deque[int] = deque()
        self._started: Started | None = None
        self._gone: str | None = None
        self.torch_version = ""

    def ask(self, held: Held | None, name: str, given: tuple[object, ...], progress: Progress = no_progress) -> object:
        """Have a method called there; None: of what is there from the beginning.

        Raises:
            EngineError: the process is gone, or answers what is no answer.
            Exception: what was raised there.
        """
        with self._turn:
            frame = self._exchange(ROOT if held is None else held.number, name, given, progress)
            if frame.head.get("is") == "error":
                raise raised(frame.head)
            try:
                return unpacked(frame, lambda number: Held(self, number))
            except FrameError as error:
                raise self._refuse(error) from None

    def forget(self, number: int) -> None:
        """Tell it with the next request: whoever collects garbage here may be in the middle of one."""
        self._forgotten.append(number)

    def end(self) -> None:
        """End it, and what it started."""
        started, self._started = self._started, None
        self._gone = self._gone or "was ended"
        if started is not None:
            started.end()

    def _exchange(self, number: int, name: str, given: tuple[object, ...], progress: Progress) -> Frame:
        """What comes of a request. Whatever ends it before, the process would answer it all the same: it is ended."""
        started = self._running()
        wire = Wire(socket=started.connection, most_head=_MOST)
        try:
            forgotten = [self._forgotten.popleft() for _ in range(len(self._forgotten))]
            request = np.frombuffer(_pickled((number, name, given, forgotten)), dtype=np.uint8)
            with self._heard(started):
                wire.send({}, {"request": request})
            while True:
                with self._heard(started):
                    frame = wire.receive()
                if str(frame.head.get("is")) in {"answer", "error"}:
                    return frame
                self._note(frame, progress)
        except BaseException:
            self.end()
            raise

    @contextmanager
    def _heard(self, started: Started) -> Iterator[None]:
        """What goes wrong on the way, as an error about the process."""
        try:
            yield
        except (EOFError, OSError):
            raise self._ended(started) from None
        except FrameError as error:
            raise self._refuse(error) from None

    def _running(self) -> Started:
        if self._started is not None and self._started.usable:
            return self._started
        if self._gone is not None or self._started is not None:
            raise EngineError(f"{_WHO} {self._gone or 'is one of another process'}; run the command again")
        self._started = Started(_WHO, {"do": "measure"}, _FOREIGN)
        about = self._exchange(ROOT, "begin", (self._surroundings(),), no_progress)
        version = about.head.get("value")
        if not isinstance(version, str) or len(version) > 100 or not version.isprintable():
            raise self._refuse(FrameError("the version of torch was expected"))
        self.torch_version = version
        return self._started

    def _surroundings(self) -> Surroundings:
        level = logging.getLogger("case_monitor").getEffectiveLevel()
        if not self._own_code:
            return Surroundings(log_level=level)
        path = tuple(str(Path(entry).absolute()) for entry in sys.path)
        return Surroundings(log_level=level, environment=dict(os.environ), directory=Path.cwd(), path=path)

    def _note(self, frame: Frame, progress: Progress) -> None:
        """What it says before it answers."""
        match frame.head:
            case {"is": "progress", "stage": str(stage), "done": int(done), "total": int(total)} if done <= total:
                progress(one_line(stage), done, total)
            case {"is": "log", "level": int(level), "logger": str(source), "says": str(says)}:
                # It could name as many logs as it likes, and each would stay.
                known = source == OF_MODELS or source in logging.Logger.manager.loggerDict
                logging.getLogger(source if known else _LOGGER).log(level, "%s", one_line(says))
            case _:
                raise self._refuse(FrameError("an answer was expected"))

    def _ended(self, started: Started) -> EngineError:
        self._started, self._gone = None, started.told()
        return EngineError(f"{_WHO} {self._gone}")

    def _refuse(self, error: FrameError) -> EngineError:
        self._gone = "answered what is no answer, and was ended"
        self.end()
        return EngineError(f"{_WHO} answered what is no answer: {error}; it was ended")


def _pickled(value: object) -> bytes:
    content = io.BytesIO()
    _Pickler(content).dump(value)
    return content.getvalue()


class _Pickler(pickle.Pickler):
    """What stays there is sent as its number, and a version's files as the place where they are."""

    def persistent_id(self, obj: object) -> int | None:
        return obj.number if isinstance(obj, Held) else None

    def reducer_override(self, obj: object) -> Any:
        return obj.borrowed() if isinstance(obj, ModelFiles) else NotImplemented
