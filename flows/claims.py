"""Claims of the flow run that is running."""

import logging
import platform
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from sqlalchemy import Engine

from case_monitor.settings import Settings
from case_monitor.store.claims import claimed
from flows.running import run_id

logger = logging.getLogger("case_monitor.claims")


@contextmanager
def alone_on(engine: Engine, what: str) -> Iterator[None]:
    """Nobody else works on it meanwhile; whoever comes second waits, and finds what the first one stored."""
    with claimed(engine, [what], run_id(), waiting=lambda: logger.info("%s: another run is on it; waiting", what)):
        yield


@contextmanager
def device_slot(engine: Engine, settings: Settings, device: str) -> Iterator[None]:
    """One of the places on a GPU of this machine; a CPU is shared as it always is."""
    slots = [f"{platform.node()} {device} {i}" for i in range(settings.evaluations_per_gpu)]
    waiting = nullcontext() if device == "cpu" else claimed(engine, slots, run_id())
    with waiting:
        yield
