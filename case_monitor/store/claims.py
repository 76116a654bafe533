"""Claims: of several runs that want to work on the same thing, one does, and the others wait.

A claim is a row with an end, which its holder keeps moving on while it works. A holder that died loses its claim when
the time is over. The machines' clocks may differ by less than `LEASE`.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from threading import Event, Thread

from sqlalchemy import Engine, delete, update

from case_monitor.core.errors import StoreError
from case_monitor.store.connection import writing
from case_monitor.store.tables import ClaimRow
from case_monitor.store.write.rows import bindable, dialect_insert

LEASE = timedelta(minutes=3)
HEARTBEAT = timedelta(seconds=20)
POLL = timedelta(seconds=1)

logger = logging.getLogger("case_monitor.claims")


@contextmanager
def claimed(
    engine: Engine, resources: Sequence[str], holder: str, *, waiting: Callable[[], None] = lambda: None
) -> Iterator[str]:
    """Hold one of the resources, whichever is free first; the same holder may take its own again, after a crash.

    Args:
        engine: the results database.
        resources: what would do, for example the slots of a GPU.
        holder: who asks, for example a flow run's id.
        waiting: called once if nothing is free.
    """
    resource = _take_one(engine, resources, holder)
    if resource is None:
        waiting()
    while resource is None:
        time.sleep(POLL.total_seconds())
        resource = _take_one(engine, resources, holder)
    stop = Event()
    heartbeat = Thread(target=_keep, args=(engine, resource, holder, stop), name=f"claim on {resource}", daemon=True)
    heartbeat.start()
    try:
        yield resource
    finally:
        stop.set()
        heartbeat.join()
        _give_back(engine, resource, holder)


def _take_one(engine: Engine, resources: Sequence[str], holder: str) -> str | None:
    return next((resource for resource in resources if _take(engine, resource, holder)), None)


def _take(engine: Engine, resource: str, holder: str) -> bool:
    """Claim a resource that nobody holds, in one statement, so that of two at once one gets it."""
    now = datetime.now(UTC)
    row = {"resource": _key(resource), "holder": holder, "claimed_at": now, "expires_at": now + LEASE}
    with writing(engine) as connection:
        statement = dialect_insert(connection, ClaimRow).values(bindable(ClaimRow, row))
        taken = statement.on_conflict_do_update(
            index_elements=["resource"],
            set_={name: statement.excluded[name] for name in ("holder", "claimed_at", "expires_at")},
            where=(ClaimRow.expires_at < now) | (ClaimRow.holder == holder),
        ).returning(ClaimRow.resource)
        return connection.execute(taken).scalar_one_or_none() is not None


def _keep(engine: Engine, resource: str, holder: str, stop: Event) -> None:
    """Move the end on until told to stop. What goes wrong is tried again: the lease is many heartbeats long."""
    mine = (ClaimRow.resource == _key(resource), ClaimRow.holder == holder)
    while not stop.wait(HEARTBEAT.total_seconds()):
        try:
            with writing(engine) as connection:
                later = update(ClaimRow).where(*mine).values(expires_at=datetime.now(UTC) + LEASE)
                if not connection.execute(later).rowcount:
                    logger.warning("the claim on %s was lost: this run stood still for too long", resource)
                    return
        except StoreError as error:
            logger.warning("the claim on %s could not be renewed: %s", resource, error)


def _give_back(engine: Engine, resource: str, holder: str) -> None:
    try:
        with writing(engine) as connection:
            connection.execute(delete(ClaimRow).where(ClaimRow.resource == _key(resource), ClaimRow.holder == holder))
    except StoreError as error:  # it ends by itself, and what was worked on is done
        logger.warning("the claim on %s ends later: %s", resource, error)


def _key(resource: str) -> str:
    """Readable, and short enough for an index whatever models are called."""
    if len(resource) <= 200 and resource.isprintable():
        return resource
    return hashlib.sha256(resource.encode(errors="surrogatepass")).hexdigest()
