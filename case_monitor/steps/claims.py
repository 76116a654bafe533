"""Claims of the flow run that is running."""

import logging
import platform
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar

from sqlalchemy import Engine

from case_monitor.settings import Settings
from case_monitor.steps.running import run_id
from case_monitor.store.work.claims import Claim, claimed

logger = logging.getLogger("case_monitor.claims")

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("case_monitor_waiting", default=None)


@contextmanager
def hearing_of_waiting(listener: Callable[[str], None]) -> Iterator[None]:
    """Call `listener(line)` while something inside the block waits, at once and now and then; else it is logged."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def alone_on(engine: Engine, what: str) -> Iterator[None]:
    """Nobody else works on it meanwhile; whoever comes second waits, and finds what the first one stored."""
    with claimed(engine, [what], run_id(), waiting=lambda others: _tell(what, others)):
        yield


@contextmanager
def device_slot(engine: Engine, settings: Settings, device: str) -> Iterator[None]:
    """One of the places on a GPU of this machine; a CPU is shared as it always is."""
    place = f"{platform.node()} {device}"
    slots = [f"{place} {i}" for i in range(settings.evaluations_per_gpu)]
    slot = claimed(engine, slots, run_id(), waiting=lambda others: _tell(f"a place on {place}", others))
    with nullcontext() if device == "cpu" else slot:
        yield


def _tell(what: str, others: Sequence[Claim]) -> None:
    line = f"{what}: waiting for {'; or '.join(claim.words for claim in others)}"
    listener = _listener.get()
    if listener:
        listener(line)
    else:
        logger.info("%s", line)
