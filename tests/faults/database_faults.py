"""The results database away, read-only or restarted from a point on."""

import subprocess
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

from tests.faults.lab import OWN_POSTGRESQL, POSTGRESQL, SMALL_POSTGRESQL, SQLITE, Lab
from tests.faults.postgres_cluster import revive
from tests.faults.promises import ONCE, Broken, holder
from tests.faults.trials import Fault, Trial
from tests.faults.world import World
from tests.support.commands import Ran

# As its administrator, from another process: what the struck one knows of the database is its own.
_ASK = """
import sys, psycopg2
url, database, *statements = sys.argv[1:]
connection = psycopg2.connect(url)
connection.autocommit = True
for statement in statements:
    connection.cursor().execute(statement.replace("DATABASE_NAME", database))
"""
_END_ALL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'DATABASE_NAME' AND pid <> pg_backend_pid()"
)
# Each with what sets it right again.
_WAYS = {
    "restarts: every connection ends": ((_END_ALL,), ()),
    "is gone: every connection ends, none is taken": (
        ("ALTER DATABASE DATABASE_NAME ALLOW_CONNECTIONS false", _END_ALL),
        ("ALTER DATABASE DATABASE_NAME ALLOW_CONNECTIONS true",),
    ),
    "is read-only": (
        ("ALTER DATABASE DATABASE_NAME SET default_transaction_read_only = on", _END_ALL),
        ("ALTER DATABASE DATABASE_NAME RESET default_transaction_read_only",),
    ),
}


def _asking(world: World, *statements: str) -> list[str]:
    url = make_url(world.database_url)
    admin = url.set(drivername="postgresql", database="postgres").render_as_string(hide_password=False)
    return [sys.executable, "-c", _ASK, admin, str(url.database), *statements]


def _struck(lab: Lab, strike: Callable[[World], Ran], database: str, point: str) -> Iterable[Broken]:
    """What broke, with the point at which it was struck."""
    for broken in lab.struck(strike, database):
        yield Broken(broken.promise, f"at {point}: {broken.how}")


def postgresql(lab: Lab, trial: Trial, *, way: str) -> Iterable[Broken]:
    """A server that does this from a point on, until the struck run is over."""
    points = lab.unstruck(POSTGRESQL).points
    at = trial.one_of(len(points))
    wrong, right = _WAYS[way]

    def strike(world: World) -> Ran:
        ran = world.gate({"at": at, "deed": "run", "command": _asking(world, *wrong)})
        subprocess.run(_asking(world, *right), check=True)
        return ran

    return _struck(lab, strike, POSTGRESQL, points[at])


def crashed(lab: Lab, trial: Trial) -> Iterable[Broken]:
    """The server itself is killed at a point, and comes back at once."""
    points = lab.unstruck(POSTGRESQL).points
    at = trial.one_of(len(points))

    def strike(world: World) -> Ran:
        command = [sys.executable, "-m", "tests.faults.postgres_cluster", "crash", str(_data_of(world))]
        return world.gate({"at": at, "deed": "run", "command": command})

    return _struck(lab, strike, OWN_POSTGRESQL, points[at])


def full(lab: Lab, trial: Trial) -> Iterable[Broken]:
    """No byte is left of the server's disk from a point on; then somebody makes room, and starts it if it gave up."""
    points = lab.unstruck(POSTGRESQL).points
    at = trial.one_of(len(points))

    def strike(world: World) -> Ran:
        data = _data_of(world)
        ran = world.gate({"at": at, "deed": "fill", "folder": str(data.parent)})
        (data.parent / "ballast").unlink(missing_ok=True)
        revive(data)
        return ran

    return _struck(lab, strike, SMALL_POSTGRESQL, points[at])


def _data_of(world: World) -> Path:
    """Where the server of a world has its data."""
    engine = create_engine(world.database_url)
    with engine.connect() as connection:
        found = connection.exec_driver_sql("SHOW data_directory").scalar_one()
    engine.dispose()
    return Path(found)


def removed(lab: Lab, trial: Trial) -> Iterable[Broken]:
    """Somebody deletes the SQLite file: what was stored is lost, and the alias moves once all the same."""
    points = lab.unstruck(SQLITE).points
    at = trial.one_of(len(points))
    with lab.world(SQLITE) as world:
        ran = world.gate({"at": at, "deed": "remove", "folder": str(world.folder), "files": "results.db*"})
        if ran.code not in {0, 2}:
            yield Broken(ONCE, f"at {points[at]}: exit code {ran.code}")
        world.gate()
        moves = world.asked("SELECT version FROM fault_alias_moves")
        if holder(world) != 2 or moves != [(1,), (2,)]:
            yield Broken(ONCE, f"at {points[at]}: the alias moved to {moves}")


FAULTS = (
    *(
        Fault(name=f"PostgreSQL {way}", strike=partial(postgresql, way=way), long=12)
        for way in _WAYS
    ),
    Fault(name="PostgreSQL's server crashes at a point, and recovers", strike=crashed, long=12),
    Fault(name="PostgreSQL's disk full from a point on", strike=full, long=12, needs_root=True),
    Fault(name="SQLite file deleted at a point", strike=removed, long=6, promises=(ONCE,)),
)  # fmt: skip
