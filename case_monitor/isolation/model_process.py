"""A process in which one model runs: started, asked, ended."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from case_monitor.domain.errors import CaseMonitorError, ConfinementError, ModelError
from case_monitor.domain.isolation import Isolation
from case_monitor.isolation.confine.level import Level
from case_monitor.isolation.errors import ERRORS
from case_monitor.isolation.frames import Array, Frame, FrameError, Wire
from case_monitor.isolation.started import Started
from case_monitor.isolation.words import one_line

_MOST_UNREAD = 4  # answers that may lie before an error


class ModelProcess:
    """A process for one model, which has not loaded it yet."""

    def __init__(self, title: str, files: Sequence[Path], isolation: Isolation) -> None:
        self._title, self._isolation = title, isolation
        request = {
            "do": "start",
            "limits": asdict(isolation.limits),
            "files": [str(path) for path in files],
            "readable": [str(path) for path in isolation.readable],
        }
        self._process = Started(title, request)
        self._wire = Wire(socket=self._process.connection)
        self._since = time.monotonic()
        shut = self.receive()
        self.level, self.lacking = Level(shut.head["level"]), shut.head["lacking"]
        if isolation.required and self.level is not Level.CONFINED:
            self.end()
            raise ConfinementError(f"isolation: required, and this machine cannot confine a model: {self.lacking}")

    def send(self, head: Mapping[str, object], arrays: Mapping[str, Array] | None = None) -> None:
        """Send a frame."""
        try:
            self._wire.send(head, arrays, self._deadline())
        except TimeoutError:
            raise self._late("took nothing") from None
        except OSError:
            for _ in range(_MOST_UNREAD):
                self.receive()  # what it said before it went
            raise self._gone_wrong("does not listen") from None

    def receive(self, progress: Callable[[float, int], None] | None = None) -> Frame:
        """The next answer.

        Raises:
            CaseMonitorError: what it says went wrong, or what became of the process.
        """
        try:
            while (frame := self._wire.receive(self._deadline())).head.get("is") == "progress":
                done, images = _progress(frame)
                if progress is not None:
                    progress(done, images)
        except TimeoutError:
            raise self._late("said nothing") from None
        except (EOFError, OSError):
            raise self._ended() from None
        except FrameError as error:
            raise self._gone_wrong(f"answered what is no answer: {error}") from None
        if frame.arrays and frame.head.get("is") != "answer":
            raise self.refuse("no array but in answers")
        if frame.head.get("is") == "error":
            self.end()
            raise self._error(frame)
        return frame

    @property
    def usable(self) -> bool:
        """Whether this process started it, and not one that it was forked from, and it is not ended."""
        return self._process.usable

    def refuse(self, expected: str) -> ModelError:
        """The error for an answer that is none; the process is ended."""
        return self._gone_wrong(f"answered what is no answer: {expected} was expected")

    def end(self) -> int | None:
        """End it, and what it started; its exit status, negative for a signal."""
        return self._process.end()

    def _deadline(self) -> float:
        """Of the next frame as a whole."""
        return min(time.monotonic() + self._isolation.silence_s, self._since + self._isolation.total_s)

    def _late(self, silent: str) -> ModelError:
        total_s = self._isolation.total_s
        if time.monotonic() >= self._since + total_s:
            return self._gone_wrong(f"took longer than {total_s:g} s altogether")
        return self._gone_wrong(f"{silent} for {self._isolation.silence_s:g} s")

    def _error(self, frame: Frame) -> CaseMonitorError:
        """What it says, as a line about it: it could say anything, also of another model."""
        kind, says = frame.head.get("kind"), frame.head.get("says")
        if not isinstance(says, str):
            return self.refuse("an error in words")
        line = one_line(says)
        known = ERRORS.get(kind if isinstance(kind, str) else "", ModelError)
        return known(line if line.startswith(f"{self._title}") else f"{self._title}: {line}")

    def _gone_wrong(self, what: str) -> ModelError:
        self.end()
        return ModelError(f"{self._title}: its process {what}, and was ended{self._process.last_words()}")

    def _ended(self) -> ModelError:
        return ModelError(f"{self._title}: its process {self._process.told()}")


def _progress(frame: Frame) -> tuple[float, int]:
    done, images = frame.head.get("done"), frame.head.get("images")
    if frame.arrays or not isinstance(done, float) or type(images) is not int or not 0 <= done <= images <= 1 << 20:
        raise FrameError("progress in images was expected")
    return done, images
