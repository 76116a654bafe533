"""MLflow for the tests, on SQLite and over HTTP. It takes seconds to import: only who asks for it does."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.servers import end_group, free_port, wait_until_healthy


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
    """Undo, before and afterwards, what a test, or our own registry, sets for the whole process.

    A client that is told only where runs are asks there for models, too, unless the process was told another place.
    """
    import mlflow

    names = ("TRACKING_URI", "REGISTRY_URI", "HTTP_REQUEST_MAX_RETRIES", "HTTP_REQUEST_TIMEOUT")
    for name in names:
        monkeypatch.setenv(f"MLFLOW_{name}", "")
        monkeypatch.delenv(f"MLFLOW_{name}")
    for set_uri in (mlflow.set_tracking_uri, mlflow.set_registry_uri):
        set_uri(None)
    yield
    for set_uri in (mlflow.set_tracking_uri, mlflow.set_registry_uri):
        set_uri(None)


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
