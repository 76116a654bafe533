"""What a picture is read from, whatever kind of split names it."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class Stored(Protocol):
    """The bytes of one picture, read again whenever they are needed; in other processes, too."""

    def size(self) -> int:
        """How many there are.

        Raises:
            OSError: there are none.
        """
        ...

    def content(self) -> bytes:
        """All of them.

        Raises:
            OSError: there are none.
        """
        ...


@dataclass(frozen=True, slots=True)
class File:
    """A file of its own."""

    path: Path

    def size(self) -> int:
        status = self.path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for, and a device never ends
            raise OSError(0, "it is no regular file")
        return status.st_size

    def content(self) -> bytes:
        return self.path.read_bytes()
