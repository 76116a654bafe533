"""Claims: of several runs that want to work on the same thing, one does, and the others wait.

A claim is a row with an end, which its holder keeps moving on while it works. A holder that died loses its claim when
the time is over, and at once where somebody on the same machine sees that its process is gone. Times are the
database's, so that no machine's clock matters.
"""

import hashlib
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from threading import Event, Thread

from sqlalchemy import Connection, Engine, RowMapping, delete, func, select, update

from case_monitor.domain.errors import LiveClaimError, StoreError
from case_monitor.store.connection import reading, writing
from case_monitor.store.tables import ClaimRow, UtcDateTime
from case_monitor.store.work.claim_holder import is_gone, this_host, this_process
from case_monitor.store.write.rows import Row, bindable, dialect_insert

LEASE = timedelta(seconds=60)  # six heartbeats: ADR 9 has the reasons
HEARTBEAT = timedelta(seconds=10)
POLL = timedelta(seconds=1)
REMIND = timedelta(seconds=30)

logger = logging.getLogger("case_monitor.claims")


class Holder(StrEnum):
    """What is known of a claim's holder."""

    ALIVE = "alive"
    GONE = "its process is gone"
    SILENT = "not heard of any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Who works on a resource, where, since when, and until when unless it goes on."""

    resource: str
    holder: str
    host: str | None
    process: str | None
    claimed_at: datetime
    expires_at: datetime
    state: Holder

    @property
    def words(self) -> str:
        """Who, where, since when, until when."""
        process = f", process {self.process.split()[0]}" if self.process else ""
        return (
            f"run {self.holder} on {self.host or 'an unknown machine'}{process}, since "
            f"{self.claimed_at:%Y-%m-%d %H:%M:%S} UTC, until {self.expires_at:%H:%M:%S} UTC unless it goes on"
        )


Waiting = Callable[[Sequence[Claim]], None]


@contextmanager
def claimed(
    engine: Engine,
    resources: Sequence[str],
    holder: str,
    *,
    waiting: Callable[[Sequence[Claim]], None] = lambda _: None,
) -> Iterator[str]:
    """Hold one of the resources, whichever is free first; the same holder may take its own again, after a crash.

    Args:
        engine: the results database.
        resources: what would do, for example the slots of a GPU.
        holder: who asks, for example a flow run's id.
        waiting: called with the claims of the others if nothing is free, at once and every `REMIND`.
    """
    resource = _take_one(engine, resources, holder) or _wait_for_one(engine, resources, holder, waiting)
    stop = Event()
    heartbeat = Thread(target=_keep, args=(engine, resource, holder, stop), name=f"claim on {resource}", daemon=True)
    heartbeat.start()
    try:
        yield resource
    finally:
        stop.set()
        heartbeat.join()
        _give_back(engine, resource, holder)


def load_claims(engine: Engine, resources: Sequence[str] | None = None) -> list[Claim]:
    """The claims on some resources, or all of them, those that end first coming first."""
    query = select(ClaimRow.__table__).order_by(ClaimRow.expires_at, ClaimRow.resource)
    if resources is not None:
        query = query.where(ClaimRow.resource.in_(map(_key, resources)))
    with reading(engine) as connection:
        now = _now(connection)
        rows = connection.execute(query).mappings().all()
    return [Claim(**row, state=_state(row, now)) for row in rows]


def release(engine: Engine, resource: str, *, force: bool = False) -> Claim:
    """Take a claim from its holder, whoever that is. Returns the claim that was.

    Raises:
        StoreError: there is no such claim.
        LiveClaimError: its holder is alive, and `force` is not set.
    """
    found = load_claims(engine, [resource])
    if not found:
        raise StoreError(f"nobody holds {resource!r}; see: case-monitor claims")
    [claim] = found
    if claim.state is Holder.ALIVE and not force:
        raise LiveClaimError(
            f"{resource!r} is held by {claim.holder}, which is alive as far as can be told; end that run, or take the "
            "claim from it with --force: both would then work on the same thing"
        )
    this_one = (ClaimRow.resource == claim.resource, ClaimRow.holder == claim.holder)
    with writing(engine) as connection:
        connection.execute(delete(ClaimRow).where(*this_one, ClaimRow.claimed_at == claim.claimed_at))
    return claim


def _wait_for_one(engine: Engine, resources: Sequence[str], holder: str, waiting: Waiting) -> str:
    told: float | None = None
    while True:
        if told is None or time.monotonic() - told >= REMIND.total_seconds():
            others = load_claims(engine, resources)
            if others:  # else the last one was just given back
                waiting(others)
                told = time.monotonic()
        time.sleep(POLL.total_seconds())
        resource = _take_one(engine, resources, holder)
        if resource is not None:
            return resource


def _take_one(engine: Engine, resources: Sequence[str], holder: str) -> str | None:
    known = {claim.resource: claim for claim in load_claims(engine, resources)}
    for resource in resources:
        before = known.get(_key(resource))
        is_free = before is None or before.holder == holder or before.state is not Holder.ALIVE
        if is_free and _take(engine, resource, holder, before):
            return resource
    return None


def _take(engine: Engine, resource: str, holder: str, before: Claim | None) -> bool:
    """Claim a resource that nobody holds, in one statement, so that of two at once one gets it."""
    with writing(engine) as connection:
        now = _now(connection)
        row: Row = {"resource": _key(resource), "holder": holder, "host": this_host(), "process": this_process()}
        row |= {"claimed_at": now, "expires_at": now + LEASE}
        may_take = (ClaimRow.expires_at < now) | (ClaimRow.holder == holder)
        if before is not None and before.state is Holder.GONE:
            may_take |= ClaimRow.process == before.process  # a process that is gone takes nothing again
        statement = dialect_insert(connection, ClaimRow).values(bindable(ClaimRow, row))
        taken = statement.on_conflict_do_update(
            index_elements=["resource"],
            set_={name: statement.excluded[name] for name in row if name != "resource"},
            where=may_take,
        ).returning(ClaimRow.resource)
        return connection.execute(taken).scalar_one_or_none() is not None


def _keep(engine: Engine, resource: str, holder: str, stop: Event) -> None:
    """Move the end on until told to stop. What goes wrong is tried again: the lease is many heartbeats long."""
    mine = (ClaimRow.resource == _key(resource), ClaimRow.holder == holder)
    while not stop.wait(HEARTBEAT.total_seconds()):
        try:
            with writing(engine) as connection:
                later = update(ClaimRow).where(*mine).values(expires_at=_now(connection) + LEASE)
                if not connection.execute(later).rowcount:
                    logger.warning(
                        "the claim on %s was lost: this run stood still for too long, or somebody released it", resource
                    )
                    return
        except StoreError as error:
            logger.warning("the claim on %s could not be renewed: %s", resource, error)


def _give_back(engine: Engine, resource: str, holder: str) -> None:
    try:
        with writing(engine) as connection:
            connection.execute(delete(ClaimRow).where(ClaimRow.resource == _key(resource), ClaimRow.holder == holder))
    except StoreError as error:  # it ends by itself, and what was worked on is done
        logger.warning("the claim on %s ends later: %s", resource, error)


def _state(row: RowMapping, now: datetime) -> Holder:
    if is_gone(row["host"], row["process"]):
        return Holder.GONE
    return Holder.ALIVE if row["expires_at"] >= now else Holder.SILENT


def _now(connection: Connection) -> datetime:
    """The server's time, or that of the one machine that a SQLite file is on."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    return connection.execute(select(func.clock_timestamp(type_=UtcDateTime))).scalar_one()


def _key(resource: str) -> str:
    """Readable, and short enough for an index whatever models are called."""
    if len(resource) <= 200 and resource.isprintable():
        return resource
    return hashlib.sha256(resource.encode(errors="surrogatepass")).hexdigest()
