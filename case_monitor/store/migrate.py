"""From one schema to another, with Alembic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

import case_monitor
from case_monitor.domain.errors import StoreError
from case_monitor.store.connection import connect, open_engine, shown, writing
from case_monitor.store.schema import migrations_folder, refuse_foreign, refuse_newer, revision_of
from case_monitor.store.tables import VERSION_TABLE

MIGRATION_LOCK = 7_241_306_052  # any constant that no other program on the server locks
LOCK_TIMEOUT_S = 10  # as long as a migration waits for a table, everybody else who wants that table waits behind it
_LOCKED = {"55P03", "40P01"}  # PostgreSQL: lock not available, deadlock


def upgrade(url: str, revision: str = "head") -> None:
    """Create the tables, or bring them to `revision`; safe to run twice and at the same time."""
    _migrate(url, command.upgrade, revision)


def downgrade(url: str, revision: str) -> None:
    """Go back to `revision`; what the older schema has no place for is lost, `base` drops everything."""
    _migrate(url, command.downgrade, revision)


def alembic_config(connection: Connection | None = None) -> Config:
    """What Alembic needs to run on `connection`, with no alembic.ini."""
    config = Config()
    folder = migrations_folder(Path(case_monitor.__file__).parent)
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@contextmanager
def migrating(url: str) -> Iterator[Connection]:
    """A transaction to migrate in, one at a time.

    Foreign keys are off on SQLite, where a table is altered by dropping it: that would delete its children.
    """
    engine = open_engine(url, foreign_keys=False)
    try:
        with writing(engine) as connection:
            if connection.dialect.name == "postgresql":
                _keep_others_out(connection)
            yield connection
            if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise StoreError(f"{shown(engine.url)}: the migration would break foreign keys; nothing was changed")
    except StoreError as error:
        raise (_in_use(engine.url) if _is_locked(error.__cause__) else error) from error.__cause__
    finally:
        engine.dispose()


def _keep_others_out(connection: Connection) -> None:
    """One migration at a time, and none while a transaction of `hold_to_schema` goes on, which goes by what it saw."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
    connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT_S}s'"))
    if inspect(connection).has_table(VERSION_TABLE):
        connection.execute(text(f"LOCK TABLE {VERSION_TABLE} IN ACCESS EXCLUSIVE MODE"))


def _is_locked(error: BaseException | None) -> bool:
    if not isinstance(error, OperationalError):
        return False
    return getattr(error.orig, "pgcode", "") in _LOCKED or getattr(error.orig, "sqlite_errorname", "") == "SQLITE_BUSY"


def _in_use(url: URL) -> StoreError:
    return StoreError(
        f"{shown(url)}: others use the tables, so that they could not be migrated; nothing was changed. Stop the "
        "service, the workers and whatever else has a transaction open there, then run again: case-monitor db upgrade"
    )


def _migrate(url: str, run: Callable[[Config, str], None], revision: str) -> None:
    connect(url).dispose()
    with migrating(url) as connection:
        config = alembic_config(connection)
        refuse_newer(revision_of(connection), connection.engine.url)
        refuse_foreign(connection)
        try:
            run(config, revision)
        except CommandError as error:
            raise StoreError(f"cannot migrate {shown(connection.engine.url)} to {revision}: {error}") from error
