"""Which files of a directory are pictures of which class; what is left out is counted and named."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from case_monitor.dataset.pictures import is_picture, may_be_picture
from case_monitor.domain.errors import DataError

_NAMED = 3
"""Things of a kind that a note names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderFiles:
    """Pictures by class, in the order of names; `notes` say what is no part of the split."""

    classes: tuple[str, ...]
    files: tuple[Path, ...]
    labels: tuple[int, ...]
    notes: tuple[str, ...]


@dataclass(slots=True)
class _LeftOut:
    """What is there and no picture of a class."""

    hidden: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    def notes(self, split: str) -> Iterator[str]:
        for names, what in ((self.hidden, "hidden files or folders"), (self.others, "files that are no pictures")):
            if names:
                shown = ", ".join(sorted(names)[:_NAMED]) + (", ..." if len(names) > _NAMED else "")
                yield f"{len(names)} {what} of {split!r} were left out: {shown}."


def folder_files(path: Path) -> FolderFiles:
    """Look through a directory with one folder per class.

    Pictures are files of a picture's suffix, or those of another that begin like a picture.

    Raises:
        DataError: there is no class, a picture is no regular file, or folders lead back to each other.
    """
    left = _LeftOut()
    folders = []
    for entry in sorted(os.scandir(path), key=lambda entry: entry.name):
        if entry.name.startswith("."):
            left.hidden.append(entry.name)
        elif entry.is_dir():
            folders.append(entry.name)
        else:
            left.others.append(entry.name)
    if not folders:
        msg = f"split: one folder per class was expected in {path}, none came"
        raise DataError(msg)
    found = [(file, label) for label, name in enumerate(folders) for file in _pictures(path, path / name, left)]
    return FolderFiles(
        classes=tuple(folders),
        files=tuple(file for file, _ in found),
        labels=tuple(label for _, label in found),
        notes=tuple(left.notes(path.name)),
    )


def _pictures(top: Path, folder: Path, left: _LeftOut) -> Iterator[Path]:
    """Those of a class, also in folders below it."""
    seen: set[tuple[int, int]] = set()
    levels = []
    for root, below, names in os.walk(folder, followlinks=True):
        status = Path(root).stat()
        if (status.st_dev, status.st_ino) in seen:
            msg = (
                f"split {top.name!r}: each folder once was expected, {_short(top, Path(root))} is there by a link, too"
            )
            raise DataError(msg)
        seen.add((status.st_dev, status.st_ino))
        left.hidden += [_short(top, Path(root, name)) for name in below if name.startswith(".")]
        below[:] = [name for name in below if not name.startswith(".")]
        levels.append((root, names))
    for root, names in sorted(levels):
        for name in sorted(names):
            file = Path(root, name)
            if name.startswith("."):
                left.hidden.append(_short(top, file))
            elif _is_picture(top, file):
                yield file
            else:
                left.others.append(_short(top, file))


def _is_picture(top: Path, file: Path) -> bool:
    """By its name, or by how it begins.

    Raises:
        DataError: by its name it is one, and nothing that can be read.
    """
    by_name = may_be_picture(file)
    try:
        mode = file.stat().st_mode
    except OSError as error:
        if not by_name:
            return False
        msg = f"image {_short(top, file)!r} of split {top.name!r}: a file was expected, {error.strerror} came"
        raise DataError(msg) from None
    if not stat.S_ISREG(mode):
        if not by_name:
            return False
        msg = f"image {_short(top, file)!r} of split {top.name!r}: a regular file was expected, a pipe or device came"
        raise DataError(msg)
    return by_name or is_picture(file)


def _short(top: Path, file: Path) -> str:
    return file.relative_to(top).as_posix()
