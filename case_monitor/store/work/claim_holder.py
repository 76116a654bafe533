"""Which process holds a claim, so that another one on the same machine can tell that it is no longer there.

Linux only: where there is no /proc, or one of another PID namespace, nothing is known and nothing is assumed.
"""

import os
import platform
from pathlib import Path

_PROC = Path("/proc")
_ENDED = "ZX"  # zombie, dead: it waits for its parent to ask how it ended


def this_host() -> str:
    """The machine's name, as people know it."""
    return platform.node()


def this_process() -> str | None:
    """The process that calls, as no other one is called; None where that cannot be told.

    A number alone is given again to another process, so there are with it: when the process began, the namespace that
    numbers are of, and the boot that times are of.
    """
    place = _place()
    stat = _stat(os.getpid())
    return None if place is None or stat is None else f"{os.getpid()} {stat[1]} {place}"


def is_gone(host: str | None, process: str | None) -> bool:
    """Whether the process of a claim certainly ended; False as well where it cannot be seen from here."""
    place = _place()
    if process is None or place is None or host != this_host():
        return False
    pid, began, where = process.split(" ", 2)
    return where == place and _has_ended(int(pid), began)


def _place() -> str | None:
    """Where numbers of processes mean the same: a PID namespace of a running kernel; None: it cannot be told."""
    try:
        if int((_PROC / "self" / "stat").read_text().split(" ", 1)[0]) != os.getpid():
            return None  # this /proc is of another namespace
        namespace = (_PROC / "self" / "ns" / "pid").stat().st_ino
        boot = (_PROC / "sys" / "kernel" / "random" / "boot_id").read_text().strip()
    except (OSError, ValueError):
        return None
    return f"{namespace} {boot}"


def _has_ended(pid: int, began: str) -> bool:
    try:
        os.kill(pid, 0)  # asks, and ends nothing; /proc may hide the processes of other users
    except ProcessLookupError:
        return True
    except OSError:
        pass  # another user's
    stat = _stat(pid)
    if stat is None:
        return False
    state, since, threads = stat
    return since != began or (state in _ENDED and int(threads) <= 1)


def _stat(pid: int) -> tuple[str, str, str] | None:
    """(state, clock tick at which it began, threads) of a process, if it can be seen."""
    try:
        # The name, in parentheses, may hold anything.
        fields = (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return fields[0], fields[19], fields[17]
    except (OSError, IndexError):
        return None
