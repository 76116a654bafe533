"""Claims of the flow run that is running."""

import logging
import platform
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from prefect.runtime import flow_run
from sqlalchemy import Engine

from case_monitor.settings import Settings
from case_monitor.store.claims import claimed

logger = logging.getLogger("case_monitor.claims")


@contextmanager
def alone_on(engine: Engine, what: str) -> Iterator[None]:
    """Nobody else works on it meanwhile; whoever comes second waits, and finds what the first one stored."""
    with claimed(engine, [what], _this_run(), waiting=lambda: logger.info("%s: another run is on it; waiting", what)):
        yield


@contextmanager
def device_slot(engine: Engine, settings: Settings, device: str) -> Iterator[None]:
    """One of the places on a GPU of this machine; a CPU is shared as it always is."""
    slots = [f"{platform.node()} {device} {i}" for i in range(settings.evaluations_per_gpu)]
    waiting = nullcontext() if device == "cpu" else claimed(engine, slots, _this_run())
    with waiting:
        yield


def _this_run() -> str:
    return str(flow_run.id or uuid.uuid4())
