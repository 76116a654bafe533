"""Connections. Drivers' errors leave as one-line StoreErrors without a password."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError, StatementError

from case_monitor.domain.errors import StoreError

BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10

_EXPECTED = "sqlite:///<file> or postgresql+psycopg2://<user>:<password>@<host>/<database>"


def connect(url: str) -> Engine:
    """Open the database and make sure that it answers; its schema is not looked at.

    Raises:
        StoreError: The URL or its driver is unusable, or the database does not answer.
    """
    engine = open_engine(url)
    try:
        with engine.connect():
            return engine
    except SQLAlchemyError as error:
        engine.dispose()
        # `from None` keeps what the driver said about its arguments out of tracebacks.
        raise StoreError(f"cannot open {shown(engine.url)}: {_reason(error, engine.url)}") from None


def shown(url: URL) -> str:
    """The URL as it may be printed: no password, and no query, which may hold one as well."""
    return url.set(query={}).render_as_string(hide_password=True)


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A read-only view of one moment, so that two queries never see two states of an evaluation."""
    if engine.dialect.name == "postgresql":
        engine = engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
    with _translated(engine), engine.connect() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One transaction: committed at the end, rolled back on any error."""
    # A deferred SQLite transaction that reads, then writes, fails at once, without waiting, if another wrote.
    with _translated(engine), engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        yield connection


def open_engine(url: str, *, foreign_keys: bool = True) -> Engine:
    """An engine that has connected to nothing yet."""
    try:
        parsed = make_url(url)
        is_async = parsed.get_dialect().is_async
    except (ArgumentError, ValueError):
        # Nothing of the text is repeated: where it cannot be parsed, the password in it cannot be hidden.
        raise StoreError(f"the database URL cannot be understood; expected {_EXPECTED}") from None
    backend = parsed.get_backend_name()
    if is_async or backend not in {"sqlite", "postgresql"}:
        raise StoreError(f"{shown(parsed)}: {parsed.drivername} is not supported; expected {_EXPECTED}")
    try:
        return _sqlite(parsed, foreign_keys=foreign_keys) if backend == "sqlite" else _postgresql(parsed)
    except ImportError as error:
        raise StoreError(f"{shown(parsed)}: the driver is not installed: {error}") from None
    except (ArgumentError, ValueError):
        raise StoreError(f"{shown(parsed)}: a port or ?option of the database URL is wrong") from None


def _postgresql(url: URL) -> Engine:
    defaults = {"connect_timeout": str(CONNECT_TIMEOUT_S), "client_encoding": "utf8"}
    return create_engine(url.set(query={**defaults, **url.query}), pool_pre_ping=True)


def _sqlite(url: URL, *, foreign_keys: bool) -> Engine:
    if not url.database or url.database == ":memory:":
        raise StoreError(f"{shown(url)}: a database in memory keeps nothing; expected sqlite:///<file>")
    if not url.database.startswith("file:"):
        try:
            Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        except (OSError, ValueError) as error:  # ValueError: NUL in the path
            raise StoreError(f"cannot create the folder of {shown(url)}: {error}") from None
    engine = create_engine(url.set(query={"timeout": str(BUSY_TIMEOUT_S), **url.query}))

    def prepare(dbapi_connection: Any, _: object) -> None:
        # None: Python's own transaction handling would leave DDL outside of transactions.
        dbapi_connection.isolation_level = None
        dbapi_connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        # The switch is for good, and alone in not waiting for a lock: if it fails, another connection is just
        # switching, or the file is read-only, and this one works either way.
        if dbapi_connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            with suppress(sqlite3.OperationalError):
                dbapi_connection.execute("PRAGMA journal_mode = WAL")

    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN " + connection.get_execution_options().get("sqlite_begin", "DEFERRED"))

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", begin)
    return engine


@contextmanager
def _translated(engine: Engine) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, OverflowError) as error:
        # OverflowError is what sqlite3 makes of an integer beyond 64 bits.
        raise StoreError(f"{shown(engine.url)}: {_reason(error, engine.url)}") from error


def _reason(error: Exception, url: URL) -> str:
    """What the driver said, in one line, without SQL and without the password."""
    said = str(error.orig if isinstance(error, StatementError) else error)
    for secret in (url.password, url.query.get("password"), url.query.get("sslpassword")):
        for form in {str(secret), quote(str(secret)), quote_plus(str(secret))} if secret else ():
            said = said.replace(form, "***")
    return " ".join(said.split())
