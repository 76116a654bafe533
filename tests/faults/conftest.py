"""The lab, made once for a process's tests."""

import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from ctypes import CDLL
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from sqlalchemy import Connection
from sqlalchemy.engine import URL

from tests.faults.lab import Lab
from tests.faults.world import Ground
from tests.support.databases import fresh_postgres
from tests.support.forked_commands import Forked
from tests.support.mlflow_registries import MlflowServer

_PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(scope="module")
def lab(
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
    forked_cli: Forked,
    migrated_sqlite: Path,
    mlflow_tables: Path,
) -> Iterator[Lab]:
    CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)  # what loses its parent is found here
    folder = tmp_path_factory.mktemp("faults")

    def postgresql() -> AbstractContextManager[str]:
        server: URL = request.getfixturevalue("postgres_server")
        admin: Connection = request.getfixturevalue("postgres_admin")
        return fresh_postgres(server, admin, request.getfixturevalue("migrated_postgres"))

    def prefect() -> str:
        from prefect.settings import PREFECT_API_URL

        request.getfixturevalue("prefect_server")
        return str(PREFECT_API_URL.value())

    made: list[Ground] = []

    def served() -> Ground:
        if not made:
            server: MlflowServer = request.getfixturevalue("mlflow_server")
            place = folder / "served"
            place.mkdir()
            file = Path(server.database_uri.removeprefix("sqlite:///"))
            made.append(Ground.prepare(place, server.uri, file, server.artifacts))
        return made[0]

    return Lab(
        folder=folder,
        forked=forked_cli,
        sqlite=migrated_sqlite,
        postgresql=postgresql,
        local=_local(folder / "local", mlflow_tables),
        served=served,
        prefect=prefect,
    )


def _local(folder: Path, mlflow_tables: Path) -> tuple[Ground, Path]:
    folder.mkdir()
    file = folder / "mlflow.db"
    file.write_bytes(mlflow_tables.read_bytes())
    uri = f"sqlite:///{file}"
    ground = Ground.prepare(folder, uri, file)
    client = MlflowClient(uri, uri)
    client.create_registered_model("struck")
    for source in ground.sources:
        client.create_model_version("struck", source)
    client.set_registered_model_alias("struck", "champion", "1")
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return ground, file
