"""Opening the results database, ready to use."""

from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from case_monitor.domain.errors import StoreError
from case_monitor.store.connection import connect
from case_monitor.store.schema import current_revision, hold_to_schema, require_schema


def open_store(url: str) -> Engine:
    """Open the results database, ready to use. A new SQLite file gets its tables; a server's schema is its owner's.

    Every later transaction of the engine raises the same StoreError once somebody has migrated the database.

    Raises:
        StoreError: The database does not answer, or its schema is not this code's.
    """
    try:
        engine = connect(url)
    except StoreError as error:
        raise StoreError(f"{error}; set database_url right, or start the server (case-monitor doctor)") from None
    try:
        if engine.dialect.name == "sqlite" and current_revision(engine) is None:
            from case_monitor.store.migrate import upgrade  # Alembic, which is needed once in the life of a file

            upgrade(url)
        require_schema(engine)
        hold_to_schema(engine)
    except StoreError:
        engine.dispose()
        raise
    return engine


def is_missing(url: str) -> bool:
    """Whether this is a SQLite file that is not there so far: `open_store` would make it."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return False  # `open_store` says what is wrong with it
    file = parsed.database or ""
    is_plain_file = parsed.get_backend_name() == "sqlite" and file != "" and not file.startswith(("file:", ":memory:"))
    return is_plain_file and not Path(file).exists()
