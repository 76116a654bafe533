"""Connections and the schema's version. Drivers' errors leave as one-line StoreErrors without a password."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError, StatementError

import case_monitor
from case_monitor.domain.errors import StoreError
from case_monitor.store.tables import VERSION_TABLE

BUSY_TIMEOUT_S = 30
CONNECT_TIMEOUT_S = 10
MIGRATION_LOCK = 7_241_306_052  # any constant that no other program on the server locks

_EXPECTED = "sqlite:///<file> or postgresql+psycopg2://<user>:<password>@<host>/<database>"


def connect(url: str) -> Engine:
    """Open the database and make sure that it answers; its schema is not looked at.

    Raises:
        StoreError: The URL or its driver is unusable, or the database does not answer.
    """
    engine = _engine(url)
    try:
        with engine.connect():
            return engine
    except SQLAlchemyError as error:
        engine.dispose()
        # `from None` keeps what the driver said about its arguments out of tracebacks.
        raise StoreError(f"cannot open {shown(engine.url)}: {_reason(error, engine.url)}") from None


def open_store(url: str) -> Engine:
    """Open the results database, ready to use. A new SQLite file gets its tables; a server's schema is its owner's.

    Raises:
        StoreError: The database does not answer, or its schema is not this code's.
    """
    try:
        engine = connect(url)
    except StoreError as error:
        raise StoreError(f"{error}; set database_url right, or start the server (case-monitor doctor)") from None
    try:
        if engine.dialect.name == "sqlite" and current_revision(engine) is None:
            upgrade(url)
        require_schema(engine)
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


def upgrade(url: str, revision: str = "head") -> None:
    """Create the tables, or bring them to `revision`; safe to run twice and at the same time."""
    _migrate(url, command.upgrade, revision)


def downgrade(url: str, revision: str) -> None:
    """Go back to `revision`; what the older schema has no place for is lost, `base` drops everything."""
    _migrate(url, command.downgrade, revision)


def current_revision(engine: Engine) -> str | None:
    """The revision of the database's schema; None if it has none."""
    with reading(engine) as connection:
        return _revision(connection)


class SchemaState(Enum):
    """A database's schema beside the one that this code was written for."""

    MISSING, OLDER, CURRENT, NEWER = range(4)


def schema_state(current: str | None) -> SchemaState:
    """What a revision is to this code."""
    scripts = ScriptDirectory.from_config(alembic_config())
    if current is None:
        return SchemaState.MISSING
    if current == scripts.get_current_head():
        return SchemaState.CURRENT
    known = {script.revision for script in scripts.walk_revisions()}
    return SchemaState.OLDER if current in known else SchemaState.NEWER


def require_schema(engine: Engine) -> None:
    """Make sure that the schema is the one this code was written for.

    Raises:
        StoreError: The schema is missing, older or newer; the message says what to do.
    """
    current = current_revision(engine)
    state = schema_state(current)
    if state is SchemaState.CURRENT:
        return
    _refuse_newer(current, engine.url)
    has = "has no case_monitor tables yet" if state is SchemaState.MISSING else f"has the older schema {current}"
    raise StoreError(f"{shown(engine.url)} {has}; run: case-monitor db upgrade")


def alembic_config(connection: Connection | None = None) -> Config:
    """What Alembic needs to run on `connection`, with no alembic.ini."""
    config = Config()
    folder = migrations_folder(Path(case_monitor.__file__).parent)
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def migrations_folder(package: Path) -> Path:
    """Inside the package when installed from the wheel, beside it in a checkout."""
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


@contextmanager
def migrating(url: str) -> Iterator[Connection]:
    """A transaction to migrate in, one at a time.

    Foreign keys are off on SQLite, where a table is altered by dropping it: that would delete its children.
    """
    engine = _engine(url, foreign_keys=False)
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
        _refuse_newer(_revision(connection), connection.engine.url)
        try:
            run(config, revision)
        except CommandError as error:
            raise StoreError(f"cannot migrate {shown(connection.engine.url)} to {revision}: {error}") from error


def _revision(connection: Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE})
    return context.get_current_revision()


def _refuse_newer(current: str | None, url: URL) -> None:
    if schema_state(current) is SchemaState.NEWER:
        raise StoreError(
            f"{shown(url)} has the schema {current}, which is newer than case-monitor "
            f"{case_monitor.__version__}; install the case-monitor that upgraded it, or a newer one"
        )


def _engine(url: str, *, foreign_keys: bool = True) -> Engine:
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
