"""File systems that run full."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path


@contextmanager
def small_disk(folder: Path, size: str = "64m") -> Iterator[None]:
    """A file system of its own in memory, of which the folder is the top; nobody but root may mount one."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@lru_cache
def can_mount(folder: Path) -> bool:
    """Whether this user may."""
    try:
        with small_disk(folder / "may it be mounted"):
            return True
    except (OSError, subprocess.CalledProcessError):
        return False
