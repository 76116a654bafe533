"""Landlock: which files, ports and processes a thread, and all that comes of it, can still reach."""

import errno
import os
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from case_monitor.isolation.confine.kernel import system_call

_VERSION, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG, _TRUNCATE, _IOCTL_DEV = 1 << 7, 1 << 8, 1 << 14, 1 << 15

# How many rights over files a kernel knows, by the version of its interface.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_BIND_AND_CONNECT, _ABSTRACT_SOCKETS_AND_SIGNALS = 0b11, 0b11

# To map a library is to read it: nothing may be executed. Links, sockets, pipes and devices cannot be made.
_OF_READABLE = _READ_FILE | _READ_DIR
_OF_DEVICES = _READ_FILE | _WRITE_FILE | _IOCTL_DEV
_OF_SCRATCH = _OF_READABLE | _WRITE_FILE | _TRUNCATE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG
# CUDA starts no device unless it may name its threads, which it does as if it made a file.
_OF_OWN_THREADS = _WRITE_FILE | _TRUNCATE | _MAKE_REG
_OWN_THREADS = Path("/proc/self/task")
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


def abi() -> int:
    """The version of this kernel's interface, from 1.

    Raises:
        OSError: it has none, or it is switched off.
    """
    return system_call("landlock_create_ruleset", 0, 0, _VERSION)


def lacking() -> str | None:
    """Why this kernel has no Landlock; None where it has."""
    try:
        abi()
    except OSError as error:
        reasons = {errno.ENOSYS: "the kernel has none", errno.EOPNOTSUPP: "it was switched off when the kernel started"}
        return f"no Landlock ({reasons.get(error.errno or 0, error.strerror)})"
    return None


def restrict_files(readable: Iterable[Path], scratch: Path, *, cuda: bool) -> int:
    """Let this thread, for good, only read the one and write in the other: no port, no signal to anybody outside.

    It must have renounced new privileges before, and be the only thread: no other one would be bound.

    Args:
        readable: what it may read; devices among it may be used.
        scratch: the folder that it may write in.
        cuda: let it start CUDA.

    Returns:
        The version of the interface.

    Raises:
        OSError: the kernel refused, or a path is missing.
    """
    version = abi()
    known = (1 << _FILE_RIGHTS[min(version, max(_FILE_RIGHTS))]) - 1
    with _ruleset(version, known) as ruleset:
        _allow(ruleset, scratch, _OF_SCRATCH & known)
        if cuda:
            _allow(ruleset, _OWN_THREADS, _OF_OWN_THREADS & known)
        for path in readable:
            rights = _OF_DEVICES if stat.S_ISCHR(path.stat().st_mode) else _OF_READABLE
            _allow(ruleset, path, rights & known)
        system_call("landlock_restrict_self", ruleset, 0)
    return version


@contextmanager
def _ruleset(version: int, file_rights: int) -> Iterator[int]:
    """All rights that this kernel knows, refused."""
    refused = struct.pack("=Q", file_rights)
    if version >= 4:
        refused += struct.pack("=Q", _BIND_AND_CONNECT)
    if version >= 6:
        refused += struct.pack("=Q", _ABSTRACT_SOCKETS_AND_SIGNALS)
    descriptor = system_call("landlock_create_ruleset", refused, len(refused), 0)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        system_call("landlock_add_rule", ruleset, _PATH_BENEATH, rule, 0)
    finally:
        os.close(descriptor)
