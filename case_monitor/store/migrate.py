"""From one schema to another, with Alembic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text

import case_monitor
from case_monitor.domain.errors import StoreError
from case_monitor.store.connection import connect, open_engine, shown, writing
from case_monitor.store.schema import migrations_folder, refuse_foreign, refuse_newer, revision_of

MIGRATION_LOCK = 7_241_306_052  # any constant that no other program on the server locks


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
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            yield connection
            if connection.dialect.name == "sqlite" and connection.exec_driver_sql("PRAGMA foreign_key_check").first():
                raise StoreError(f"{shown(engine.url)}: the migration would break foreign keys; nothing was changed")
    finally:
        engine.dispose()


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
