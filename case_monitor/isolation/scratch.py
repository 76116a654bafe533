"""The folder that a model's process may write in, removed whatever the model has made of it."""

import contextlib
import os
import secrets
from pathlib import Path


def remove(folder: Path) -> None:
    """Delete a folder and what is in it, as far as that can be done.

    A model may nest folders deeper than a path is long, and lock them. So what is deep is moved to the top first, and
    nothing is done by calls within calls.
    """
    while sum(_taken_apart(found, folder) for found in _entries(folder)):
        pass
    with contextlib.suppress(OSError):
        folder.rmdir()


def _taken_apart(entry: "os.DirEntry[str]", top: Path) -> bool:
    """Whether less is left than before: a file is gone, or a folder, whose own folders are at the top now."""
    try:
        if not entry.is_dir(follow_symlinks=False):
            os.unlink(entry.path)
            return True
        os.chmod(entry.path, 0o700)
        for inner in _entries(Path(entry.path)):
            if inner.is_dir(follow_symlinks=False):
                os.chmod(inner.path, 0o700)
                os.rename(inner.path, top / secrets.token_hex(8))
            else:
                os.unlink(inner.path)
        os.rmdir(entry.path)
    except OSError:
        return False
    return True


def _entries(folder: Path) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as found:
            return list(found)
    except OSError:
        return []
