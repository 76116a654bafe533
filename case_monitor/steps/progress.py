"""Progress of long work: to Prefect as a progress artifact, and to whoever listens in this process (the CLI)."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import cast
from uuid import UUID

from prefect.artifacts import create_progress_artifact, update_progress_artifact

from case_monitor.steps.running import in_prefect

Listener = Callable[[str, int, int], None]
_listener: ContextVar[Listener | None] = ContextVar("case_monitor_progress", default=None)
_SECONDS_BETWEEN_UPDATES = 2.0


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Call `listener(stage, done, total)` for all progress inside the block."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


class ProgressReport:
    """Passes progress on; updates Prefect's artifact no more often than every two seconds."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._artifact: UUID | None = None
        if in_prefect():  # sync here, typed as either
            self._artifact = cast("UUID", create_progress_artifact(0.0, description=title))
        self._updated = time.monotonic()

    def __call__(self, stage: str, done: int, total: int) -> None:
        listener = _listener.get()
        if listener:
            listener(stage, done, total)
        now = time.monotonic()
        if self._artifact and (done == total or now - self._updated >= _SECONDS_BETWEEN_UPDATES):
            self._updated = now
            percent = 100.0 * done / max(total, 1)
            update_progress_artifact(self._artifact, percent, description=f"{self._title}: {stage}")
