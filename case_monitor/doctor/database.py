"""The results database: whether it answers, and whether its tables are this version's."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from case_monitor.doctor.check import Answer, Check, Outcome, ask, failed, ok, skipped, warning
from case_monitor.domain.errors import ForeignDatabaseError, StoreError
from case_monitor.store.connection import connect, reading, shown
from case_monitor.store.read.outbox import look_into
from case_monitor.store.schema import SchemaState, current_revision, refuse_foreign, require_schema, schema_state

DATABASE, MIGRATIONS, OUTBOX = "results database", "results database: tables", "results database: outbox"

_WHERE = "`database_url` (or CASE_MONITOR_DATABASE_URL)"
# By what drivers say, since psycopg2 gives no code where no connection came about. Who they refuse comes first: the
# name of a user or of a database may hold any of the later words.
_REMEDIES = (
    (r"password|authentication|role .* does not exist|pg_hba", f"correct the user and the password in {_WHERE}"),
    (r"database .* does not exist", f"create the database, or correct its name in {_WHERE}"),
    (r"translate host name|not known|resolv", f"correct the host in {_WHERE}"),
    (
        r"refused|timeout|timed out|no route|unreachable|No such file",
        f"start the server, or correct its host in {_WHERE}",
    ),
    (r"not a database|folder|unable to open|readonly|read-only", f"name a writable SQLite file in {_WHERE}"),
)
_OTHERWISE = f"correct {_WHERE}: sqlite:///<file> or postgresql+psycopg2://<user>:<password>@<host>/<database>"


def database_checks(url: str) -> Iterator[Check]:
    """Reach the database, then look at its schema."""
    reached = ask(DATABASE, lambda: _reach(url), remedy=_OTHERWISE)
    yield reached
    if reached.outcome is not Outcome.OK:
        yield skipped(MIGRATIONS, "the database does not answer")
    elif not reached.value:
        yield skipped(MIGRATIONS, "there is no file yet; the first command that stores results makes it, with tables")
    else:
        schema = ask(MIGRATIONS, lambda: _schema(url), remedy=_OTHERWISE)
        yield schema
        if schema.value:
            yield ask(OUTBOX, lambda: _outbox(url), remedy=_OTHERWISE)


def _reach(url: str) -> Answer:
    """`value` says whether there is a database to look into; a doctor makes none."""
    file = _sqlite_file(url)
    if file is not None and not file.exists():
        folder = next(parent for parent in file.absolute().parents if parent.exists())
        if not folder.is_dir() or not os.access(folder, os.W_OK):
            return failed(f"{file} does not exist, and cannot be made in {folder}", _remedy("folder"))
        return ok(f"{file} does not exist yet")
    try:
        engine = connect(url)
    except StoreError as error:
        return failed(str(error), _remedy(str(error)))
    engine.dispose()
    server = ".".join(map(str, engine.dialect.server_version_info or ()))
    return ok(f"{shown(engine.url)} answers ({engine.dialect.name} {server})", value=True)


def _schema(url: str) -> Answer:
    engine = connect(url)
    try:
        revision = current_revision(engine)
        state = schema_state(revision)
        if state is SchemaState.MISSING:
            with reading(engine) as connection:
                refuse_foreign(connection)
        if state is SchemaState.MISSING and engine.dialect.name == "sqlite":
            return ok("none yet; the first command that stores results makes them")
        require_schema(engine)
    except StoreError as error:
        if state is SchemaState.NEWER:
            return failed(str(error), "install the case-monitor that upgraded the database, or a newer one")
        if isinstance(error, ForeignDatabaseError):
            return failed(str(error), f"name a database of case_monitor's own in {_WHERE}")
        return failed(str(error), "run: case-monitor db upgrade")
    finally:
        engine.dispose()
    return ok(f"of this version (revision {revision})", value=True)


def _outbox(url: str) -> Answer:
    engine = connect(url)
    try:
        waiting = look_into(engine)
    finally:
        engine.dispose()
    if waiting.since is None:
        return ok("no evidence waits for MLflow")
    since = f"{waiting.since:%Y-%m-%d %H:%M} UTC"
    found = f"the evidence of {waiting.count} evaluations waits for MLflow, the oldest since {since}"
    why = f": {waiting.failure}" if waiting.failure else ""
    return warning(f"{found}{why}", "mend what MLflow says; then watch-registry, or a gate of the version, sends it")


def _sqlite_file(url: str) -> Path | None:
    """The file of a SQLite URL; None where there is none, or the URL is wrong, which connecting will say."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        return None
    plain = parsed.database not in {None, "", ":memory:"} and not str(parsed.database).startswith("file:")
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" and plain else None


def _remedy(said: str) -> str:
    return next((remedy for pattern, remedy in _REMEDIES if re.search(pattern, said, re.IGNORECASE)), _OTHERWISE)
