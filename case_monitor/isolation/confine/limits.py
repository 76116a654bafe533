"""How much of the machine a model may take."""

import resource
import sys
from pathlib import Path

from case_monitor.domain.isolation import Limits

_GRACE_S = 5
_MOST_DESCRIPTORS = 1024


def set_limits(limits: Limits) -> None:
    """Bind this process to the limits; nor does it leave a core dump, which would hold its memory, or open many files.

    RLIMIT_NPROC is of no use here: it counts a user's processes, not this one's, and not at all for root. That seccomp
    refuses every new process takes its place. Threads cost private memory, by their stacks.

    Raises:
        OSError, ValueError: the kernel refused.
    """
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_NOFILE, _MOST_DESCRIPTORS)
    _set(resource.RLIMIT_DATA, limits.memory_bytes)
    _set(resource.RLIMIT_FSIZE, limits.file_bytes)
    _set(resource.RLIMIT_CPU, limits.cpu_s, _GRACE_S)


def _set(kind: int, most: int | None, grace: int = 0) -> None:
    """Lower a limit; where a lower one holds, it stays."""
    if most is None:
        return
    soft, hard = (_at_most(now, most + grace) for now in resource.getrlimit(kind))
    resource.setrlimit(kind, (min(soft, most), hard))


def _at_most(now: int, most: int) -> int:
    return most if now == resource.RLIM_INFINITY else min(now, most)


def be_killed_first() -> None:
    """Where the machine's memory runs out, the kernel ends this process and not another one.

    Memory shared with nobody but itself is bounded by no limit; this is what remains against it.

    Raises:
        OSError: the kernel refused.
    """
    if sys.platform == "linux":
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
