"""What a process holds, and whether it holds more and more."""

import gc
import os
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

_PROC = Path("/proc/self")


@dataclass(frozen=True)
class Held:
    """At one moment. `memory` is the resident set in MiB; the others are counts."""

    memory: float
    descriptors: int
    threads: int
    temporary_files: int
    connections: int
    rows: Mapping[str, int]


def held_now(connections: int, rows: Mapping[str, int]) -> Held:
    """By this process; of connections and rows only the database knows."""
    gc.collect()
    pages = int((_PROC / "statm").read_text().split()[1])
    return Held(
        memory=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        descriptors=len(os.listdir(_PROC / "fd")),
        threads=threading.active_count(),
        temporary_files=len(os.listdir(tempfile.gettempdir())),
        connections=connections,
        rows=rows,
    )


def memory_per_cycle(cycles: Sequence[Held]) -> float:
    """MiB: the median of the last third less that of the first, so that no single cycle counts much."""
    third = len(cycles) // 3
    first, last = (median(held.memory for held in part) for part in (cycles[:third], cycles[-third:]))
    return (last - first) / (len(cycles) - third)


def rows_per_cycle(cycles: Sequence[Held]) -> list[dict[str, int]]:
    """What each cycle added to each table, if that is not the same for all; one entry if it is."""
    added: list[dict[str, int]] = []
    for before, after in pairwise(cycles):
        more = {name: count - before.rows[name] for name, count in after.rows.items()}
        if more not in added:
            added.append(more)
    return added
