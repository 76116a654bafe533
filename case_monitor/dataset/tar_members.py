"""What lies where in a tar: it is read from its place, and never unpacked."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from case_monitor.domain.errors import DataError
from case_monitor.logs.foreign_errors import short_message

_BLOCK = 512


@dataclass(frozen=True, slots=True)
class Member:
    """A file inside of a tar."""

    shard: Path
    offset: int
    length: int

    def size(self) -> int:
        return self.length

    def content(self) -> bytes:
        with self.shard.open("rb") as file:
            file.seek(self.offset)
            content = file.read(self.length)
        if len(content) < self.length:
            raise OSError(0, "its shard is shorter than it was")
        return content


def members(shard: Path) -> Iterator[tuple[str, Member]]:
    """Files with their names, in the order of the tar.

    Raises:
        DataError: it is no whole tar, or holds what is no file.
    """
    if not shard.is_file():  # a pipe would be waited for
        raise DataError(f"shard {shard.name!r}: a file was expected, none is there")
    try:
        with shard.open("rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                if info.isdir():
                    continue
                problem = _problem(info)
                if problem:
                    raise DataError(f"shard {shard.name!r}, {info.name[:80]!r}: {problem}")
                yield info.name.removeprefix("./"), Member(shard, info.offset_data, info.size)
            _require_end(file, tar.offset, shard)
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        msg = f"shard {shard.name!r}: a whole tar, not compressed, was expected: {short_message(error)}"
        raise DataError(msg) from None


def _problem(info: tarfile.TarInfo) -> str:
    """Why a member is no file of its own; "": it is."""
    if not info.isreg() or info.issparse():
        what = "a link" if info.issym() or info.islnk() else "a sparse file" if info.issparse() else "a device or pipe"
        return f"a regular file was expected, {what} came"
    if info.name.startswith("/") or ".." in info.name.split("/"):
        return "a name inside of the shard was expected"
    return ""


def _require_end(file: BinaryIO, end: int, shard: Path) -> None:
    """Python's reader takes a damaged header, and a tar that was cut between two files, for the end of it all.

    Raises:
        DataError: the mark of the end is not there, or more follows it.
    """
    file.seek(end)
    if file.read(_BLOCK) != bytes(_BLOCK):
        raise DataError(f"shard {shard.name!r}: a whole tar was expected, it is cut off or damaged at byte {end}")
    while rest := file.read(1 << 20):
        if rest.count(0) < len(rest):
            raise DataError(f"shard {shard.name!r}: one tar was expected, more follows its end; write them to one")
