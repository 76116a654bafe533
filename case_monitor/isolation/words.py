"""What a model's process prints: it goes to the log, and its last line into errors."""

import logging
import threading

from case_monitor.logs.foreign_errors import short_message

OF_MODELS = "case_monitor.model"

_MOST_LOGGED = 100  # lines
_LONGEST = 2000  # bytes of a line
_AT_ONCE = 1 << 16


def one_line(text: str) -> str:
    """What a model says, as a line that is fit for a terminal: short, masked, and without control characters."""
    return short_message("".join(c if c.isprintable() else " " for c in text[:_LONGEST]))


class Words:
    """Reads, in a thread, what a process prints until nobody can print there any more.

    Args:
        title: whose process it is.
        descriptor: where it is read, and closed in the end.
        logger: the name of the log that it goes to.
    """

    def __init__(self, title: str, descriptor: int, logger: str = OF_MODELS) -> None:
        self._title, self._lines, self._end = title, 0, b""
        self._logger = logging.getLogger(logger)
        self._thread = threading.Thread(target=self._read, args=(descriptor,), daemon=True)
        self._thread.start()

    def last(self) -> str:
        """What it said last, for the end of a sentence."""
        self._thread.join(1)
        lines = [one_line(line.decode(errors="replace")) for line in self._end.splitlines()]
        said = next((line for line in reversed(lines) if line), "")
        return f"; it said last: {said!r}" if said else ""

    def _read(self, descriptor: int) -> None:
        with open(descriptor, "rb") as words:
            while self._lines < _MOST_LOGGED and (line := words.readline(_LONGEST)):
                self._log(line)
                self._end = (self._end + line)[-_LONGEST:]
            while more := words.read1(_AT_ONCE):  # it may print for ever: it is not worth this process's time
                self._end = (self._end + more)[-_LONGEST:]

    def _log(self, line: bytes) -> None:
        if text := one_line(line.decode(errors="replace")):
            self._lines += 1
            self._logger.info("%s says: %s", self._title, text)
