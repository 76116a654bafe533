"""What was found, in one JSON, saved whenever there is something new; and sections that cannot lose each other's."""

import json
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks.gpu_networks import Row
from benchmarks.timing import say


class OutOfTime(BaseException):
    """A section's time is up. No `Exception`: what is measured catches those, and would carry on."""


class Section:
    """Rows, and what failed."""

    def __init__(self, about: str, save: Callable[[], None]) -> None:
        self.found: dict[str, Any] = {"about": about, "status": "running", "rows": [], "failures": []}
        self._save = save

    def add(self, row: Row) -> None:
        self.found["rows"].append({key: _rounded(value) for key, value in row.items()})
        self._save()

    def note(self, **facts: object) -> None:
        """What holds for all rows."""
        self.found |= {key: _rounded(value) for key, value in facts.items()}
        self._save()

    def failed(self, what: str, why: str) -> None:
        say(f"FAILED {what}: {why}")
        self.found["failures"].append(f"{what}: {why}")
        self._save()

    @contextmanager
    def attempt(self, what: str) -> Iterator[None]:
        """Something that may fail without ending its section."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            text = str(error).partition("\n")[0][:300]
            self.failed(what, f"{type(error).__name__}: {text}")


class Report:
    """The sections of a run."""

    def __init__(self, path: Path | None, facts: dict[str, object]) -> None:
        self._path = path
        self.found: dict[str, Any] = {**facts, "sections": {}}

    def run(self, name: str, about: str, budget: float, work: Callable[[Section], None]) -> bool:
        """Whether the section came to its end without a failure, within `budget` seconds."""
        section = Section(about, self._save)
        self.found["sections"][name] = section.found
        started = time.perf_counter()
        try:
            with _alarm(budget), section.attempt(name):
                work(section)
        except OutOfTime:
            section.failed(name, f"out of time after {budget:.0f} s")
        ok = not section.found["failures"]
        section.note(status="done" if ok else "failed", seconds=time.perf_counter() - started)
        return ok

    def _save(self) -> None:
        if self._path is not None:
            self._path.write_text(json.dumps(self.found, indent=1) + "\n")


@contextmanager
def _alarm(budget: float) -> Iterator[None]:
    def ring(_number: int, _frame: FrameType | None) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, budget)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _rounded(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
