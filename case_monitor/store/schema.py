"""The schema's version: a database is opened where it is this code's. Without Alembic, which most commands need not."""

from enum import Enum
from pathlib import Path

from sqlalchemy import Connection, Engine, String, column, event, inspect, select, table
from sqlalchemy.engine import URL

import case_monitor
from case_monitor.domain.errors import ForeignDatabaseError, StoreError
from case_monitor.store.connection import reading, shown
from case_monitor.store.tables import VERSION_TABLE, Base

_ANY_SCHEMA = {"any_schema": True}  # of an execution option, for who asks what the schema is
_REVISION = select(column("version_num", String)).select_from(table(VERSION_TABLE))


def current_revision(engine: Engine) -> str | None:
    """The revision of the database's schema; None if it has none."""
    with reading(engine.execution_options(**_ANY_SCHEMA)) as connection:
        return revision_of(connection)


def revision_of(connection: Connection) -> str | None:
    """The same of an open connection."""
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(_REVISION).scalar_one_or_none()


class SchemaState(Enum):
    """A database's schema beside the one that this code was written for."""

    MISSING, OLDER, CURRENT, NEWER = range(4)


def schema_state(current: str | None) -> SchemaState:
    """What a revision is to this code."""
    known = revisions()
    if current is None:
        return SchemaState.MISSING
    if current == known[-1]:
        return SchemaState.CURRENT
    return SchemaState.OLDER if current in known else SchemaState.NEWER


def revisions() -> list[str]:
    """Those that this code knows, the newest last: the migrations are numbered (0001_initial.py).

    Raises:
        StoreError: The installation has none.
    """
    folder = migrations_folder(Path(case_monitor.__file__).parent) / "versions"
    found = sorted(file.name.partition("_")[0] for file in folder.glob("[0-9]*_*.py"))
    if not found:
        raise StoreError(f"{folder}: the migrations were expected there, none came; install case-monitor again")
    return found


def require_schema(engine: Engine) -> None:
    """Make sure that the schema is the one this code was written for.

    Raises:
        StoreError: The schema is missing, older or newer; the message says what to do.
    """
    current = current_revision(engine)
    state = schema_state(current)
    if state is SchemaState.MISSING:
        with reading(engine.execution_options(**_ANY_SCHEMA)) as connection:
            refuse_foreign(connection)
    if state is not SchemaState.CURRENT:
        raise _other_schema(current, engine.url)


def hold_to_schema(engine: Engine) -> None:
    """Have every later transaction begin with the same question: others may migrate the database meanwhile.

    The answer holds until the transaction ends. On PostgreSQL the table of the revision is locked against migrations
    (`store.migrate`) before the first look, with which the transaction's view of the data begins.
    """
    expected = revisions()[-1]

    def ask(connection: Connection) -> None:
        if connection.get_execution_options().get("any_schema"):
            return
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"LOCK TABLE {VERSION_TABLE} IN ACCESS SHARE MODE")
        current = connection.execute(_REVISION).scalar_one_or_none()
        if current != expected:
            raise _other_schema(current, connection.engine.url)

    event.listen(engine, "begin", ask)


def _other_schema(current: str | None, url: URL) -> StoreError:
    try:
        refuse_newer(current, url)
    except StoreError as error:
        return error
    has = "has no case_monitor tables yet" if current is None else f"has the older schema {current}"
    return StoreError(f"{shown(url)} {has}; run: case-monitor db upgrade")


def migrations_folder(package: Path) -> Path:
    """Inside the package when installed from the wheel, beside it in a checkout."""
    installed = package / "migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def refuse_newer(current: str | None, url: URL) -> None:
    """Raise a StoreError if the schema is one that this code does not know."""
    if schema_state(current) is SchemaState.NEWER:
        raise StoreError(
            f"{shown(url)} has the schema {current}, which is newer than case-monitor "
            f"{case_monitor.__version__}; install the case-monitor that upgraded it, or a newer one"
        )


def refuse_foreign(connection: Connection) -> None:
    """Raise a ForeignDatabaseError if another program's tables stand where ours would: MLflow's, for one."""
    names = set(inspect(connection).get_table_names())
    taken = sorted(names & Base.metadata.tables.keys())
    if VERSION_TABLE in names or not taken:
        return
    whose = "MLflow's database" if "registered_models" in names else f"another program's database (table {taken[0]})"
    raise ForeignDatabaseError(
        f"{shown(connection.engine.url)}: this is {whose}; give case_monitor one of its own: database_url"
    )
