"""How busy a GPU is: what its driver says while something runs."""

import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

_COMMAND = ("nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=100")


class Busy:
    """The driver's samples: share of its last sampling period (up to a second) in which a kernel ran."""

    def __init__(self) -> None:
        self._samples: list[tuple[float, float]] = []

    def note(self, percent: str) -> None:
        self._samples.append((time.perf_counter(), float(percent) / 100))

    def share(self, start: float, end: float) -> float | None:
        """Mean between two moments; None where there are no samples."""
        within = [share for moment, share in self._samples if start <= moment <= end]
        return float(np.mean(within)) if within else None


@contextmanager
def watched() -> Iterator[Busy]:
    """Samples while this lasts; none where there is no driver to ask."""
    busy = Busy()
    if shutil.which(_COMMAND[0]) is None:
        yield busy
        return
    process = subprocess.Popen(_COMMAND, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    reader = threading.Thread(target=_read, args=(process, busy), daemon=True)
    reader.start()
    try:
        yield busy
    finally:
        process.terminate()
        process.wait()


def _read(process: subprocess.Popen[str], busy: Busy) -> None:
    for line in process.stdout or ():
        if line.strip().isdecimal():
            busy.note(line)
