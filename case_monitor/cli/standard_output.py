"""Standard output, for a command's results alone.

MLflow prints where a run can be seen, with the password of the server's URL, and models print what they like. From
`reserve` on, what Python code prints becomes a log, and what is written to file descriptor 1 goes where standard error
goes: C code and processes that are started here write there without asking Python.
"""

import atexit
import ctypes
import io
import logging
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import F_DUPFD_CLOEXEC, fcntl
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from case_monitor.domain.errors import CaseMonitorError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_logger = logging.getLogger("case_monitor.foreign")
_results: TextIO | None = None


def reserve() -> None:
    """Take standard output from everybody; a second call changes nothing."""
    global _results
    if isinstance(sys.stdout, _ForeignOutput):
        return
    ours = sys.stdout or io.StringIO()  # None: it was closed before we began
    if _descriptor(ours) == 1:
        ours.flush()
        file = os.fdopen(fcntl(1, F_DUPFD_CLOEXEC, 3), "wb")  # dup() would call it 2 where standard error is closed
        _results = _Results(file, encoding=ours.encoding, errors=ours.errors, line_buffering=True)
        _let_follow_standard_error()
    else:
        _results = ours
    sys.stdout = _ForeignOutput()


def results() -> TextIO:
    """Where results go.

    Raises:
        RuntimeError: the command did not reserve standard output.
    """
    if _results is None:
        raise RuntimeError("standard output is not reserved: a command calls prepare() first")
    return _results


def results_console() -> Console:
    """The same for people."""
    return Console(file=results())


@contextmanager
def given_back() -> Iterator[None]:
    """Give standard output back at the end, also on errors."""
    global _results
    before, outer = sys.stdout, _results
    try:
        yield
    finally:
        mine, _results = _results, outer
        if mine is not None and mine is not outer:
            sys.stdout = before
            try:
                mine.flush()
            finally:
                if isinstance(mine, _Results):
                    _give_back_descriptor(mine, before)


def _give_back_descriptor(ours: TextIO, before: TextIO) -> None:
    before.flush()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)  # what C code has printed and not written yet
    os.dup2(ours.fileno(), 1)
    ours.close()
    # If the process ends now, others must not say their good-bye there: what is registered last is called first.
    atexit.unregister(reserve)
    atexit.register(reserve)


class _Results(io.TextIOWrapper):
    """Says so where a result cannot be written: a pipe that is closed would end a command like a version that fails."""

    def write(self, text: str) -> int:
        with self._told():
            return super().write(text)

    def flush(self) -> None:
        with self._told():
            super().flush()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            redirect(self.fileno(), None)  # what is buffered is lost; trying again at the end would only complain
            raise CaseMonitorError(f"standard output: the result cannot be written: {error.strerror}") from None


class _ForeignOutput(io.TextIOBase):
    """What libraries and models find as `sys.stdout`: each line becomes a log, which is masked as all logs are."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self) -> None:
        self._of_thread = threading.local()
        self.buffer = _Bytes(self)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """For processes that are started with this as their output."""
        return 1

    def write(self, text: str) -> int:
        if getattr(self._of_thread, "logs", False):  # a handler bound to standard output: it would go round for ever
            return len(text)
        parts: list[str] = self._of_thread.__dict__.setdefault("parts", [])
        parts.append(text)
        if "\n" in text or "\r" in text:
            *lines, rest = re.split(r"[\r\n]+", "".join(parts))
            parts[:] = [rest]
            self._log(lines)
        return len(text)

    def _log(self, lines: list[str]) -> None:
        self._of_thread.logs = True
        try:
            for line in filter(str.strip, lines):
                _logger.info("%s", line)
        finally:
            self._of_thread.logs = False


class _Bytes(io.RawIOBase):
    """The same for those who write bytes."""

    def __init__(self, text: _ForeignOutput) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer") -> int:
        content = bytes(data)
        self._text.write(content.decode("utf-8", "backslashreplace"))
        return len(content)


def _descriptor(stream: TextIO) -> int | None:
    with suppress(OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        return stream.fileno()
    return None


def _let_follow_standard_error() -> None:
    try:
        redirect(1, 2)
    except OSError:  # that one is closed
        redirect(1, None)


def redirect(descriptor: int, target: int | None) -> None:
    """To another descriptor; None is nowhere."""
    if target is not None:
        os.dup2(target, descriptor)
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
