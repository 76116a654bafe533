"""A process that leaves its parent's session, files and life behind."""

import os
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from case_monitor.isolation.confine.kernel import (
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    machine,
    prctl,
)

_STANDARD = (0, 1, 2)


def require_one_thread() -> None:
    """Landlock and capabilities are a thread's: another one would stay free.

    Raises:
        OSError: there are several, or nobody can say.
    """
    if sys.platform == "linux":
        threads = len(os.listdir("/proc/self/task"))
        if threads != 1:
            raise OSError(f"{threads} threads run in this process, 1 was expected: confine it right after the fork")


def own_session(scratch: Path) -> None:
    """No terminal, no group that others signal, and a place of its own to stand in.

    Raises:
        OSError: the kernel refused; a process that leads its group cannot leave it, so it must have been forked.
    """
    os.setsid()
    os.umask(0o077)
    os.chdir(scratch)


def close_other_descriptors(keep: Iterable[int]) -> None:
    """Close all but these; where none of the three standard ones is kept, it leads nowhere.

    Raises:
        OSError: the kernel refused, or one is still open.
    """
    kept = set(keep)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in _STANDARD:
        if descriptor not in kept:
            os.dup2(nowhere, descriptor)
    kept.update(_STANDARD)
    for descriptor in _open_descriptors() - kept:
        os.close(descriptor)
    if still := sorted(_open_descriptors() - kept):
        raise OSError(f"descriptors {still} are still open")


def _open_descriptors() -> set[int]:
    listed = {int(name) for name in os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")}
    return {descriptor for descriptor in listed if _is_open(descriptor)}  # not the one that the list was read by


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def renounce_privileges() -> None:
    """No program that this process starts can have more rights than it has.

    Raises:
        OSError: the kernel refused.
    """
    if machine() is not None:
        prctl(PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent(parent: int) -> None:
    """Be killed when the thread that forked this process ends, where the kernel is Linux.

    Args:
        parent: the process that should live: where it ended before this call, nothing would follow.

    Raises:
        OSError: the kernel refused, or the parent is gone.
    """
    if machine() is not None:
        prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise OSError(f"the parent, process {parent}, has ended")


def stay_unreadable() -> None:
    """Hide the memory and the environment of a process that holds secrets from its user's others, unless privileged.

    Nor can it be debugged, or leave a core dump.

    Raises:
        OSError: the kernel refused.
    """
    if machine() is not None:
        prctl(PR_SET_DUMPABLE, 0)
