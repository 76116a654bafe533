import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, inspect

from case_monitor.domain.errors import StoreError
from case_monitor.domain.reproduction import Reproduction
from case_monitor.store.connection import connect
from case_monitor.store.migrate import alembic_config, downgrade, migrating, upgrade
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.schema import current_revision, revision_of
from case_monitor.store.tables import VERSION_TABLE, Base
from case_monitor.store.write import save_evaluation, save_reproduction
from tests.support.alerting import evaluation_with, found, night, recall
from tests.support.factories import a_gallery, an_evaluation, some_evidence
from tests.support.rows import WORK, counts, rows_of


def tables(url: str) -> set[str]:
    with connected(url) as connection:
        return set(inspect(connection).get_table_names())


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    engine = connect(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def schema(connection: Connection) -> dict[str, Any]:
    """Everything that the database says about our tables, checks and partial indexes included."""
    inspector = inspect(connection)

    def of(table: str) -> dict[str, Any]:
        return {
            "columns": sorted((c["name"], str(c["type"]), c["nullable"]) for c in inspector.get_columns(table)),
            "pk": inspector.get_pk_constraint(table),
            "fk": sorted(map(str, inspector.get_foreign_keys(table))),
            "unique": sorted(map(str, inspector.get_unique_constraints(table))),
            "check": sorted((str(c["name"]), c["sqltext"]) for c in inspector.get_check_constraints(table)),
            "index": [
                (
                    str(i["name"]),
                    i["column_names"],
                    i["unique"],
                    {k: str(v) for k, v in i.get("dialect_options", {}).items()},
                )
                for i in sorted(inspector.get_indexes(table), key=lambda i: str(i["name"]))
            ],
        }

    return {table: of(table) for table in Base.metadata.tables}


def test_up_down_and_up_again(database_url: str) -> None:
    for _ in range(2):
        upgrade(database_url)
        assert tables(database_url) == {*Base.metadata.tables, VERSION_TABLE}
        downgrade(database_url, "base")
        assert tables(database_url) == {VERSION_TABLE}
    upgrade(database_url)
    engine = connect(database_url)
    assert current_revision(engine) == ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert save_evaluation(engine, an_evaluation()) == 1
    engine.dispose()


def test_upgrade_of_a_current_database_keeps_its_data(engine: Engine, database_url: str) -> None:
    save_evaluation(engine, an_evaluation())
    before = counts(engine)
    upgrade(database_url)
    upgrade(database_url, "0001")
    assert counts(engine) == before
    assert before["evaluations"] == 1


def test_no_drift_between_tables_and_migrations(database_url: str) -> None:
    upgrade(database_url)
    with migrating(database_url) as connection:
        command.check(alembic_config(connection))  # raises if autogenerate would write anything


def test_check_would_see_drift(database_url: str) -> None:
    upgrade(database_url)
    with connected(database_url) as connection:
        connection.execute(sa.text("DROP INDEX uq_metric_summaries_overall"))
    with migrating(database_url) as connection, pytest.raises(CommandError, match="New upgrade operations"):
        command.check(alembic_config(connection))


def test_migrated_schema_is_the_declared_one_with_checks_and_partial_indexes(database_url: str) -> None:
    upgrade(database_url)
    with connected(database_url) as connection:
        migrated = schema(connection)
    downgrade(database_url, "base")
    with connected(database_url) as connection:
        Base.metadata.create_all(connection)
        assert schema(connection) == migrated
    checks = {name for name, _ in migrated["alert_observations"]["check"]}
    assert checks == {"ck_alert_observations_severity", "ck_alert_observations_status"}


def old_alerts(url: str) -> list[tuple[Any, ...]]:
    with connected(url) as connection:
        return [tuple(row) for row in connection.execute(sa.text(f"SELECT {OBSERVED} FROM alerts ORDER BY 1, 2"))]


OBSERVED = "evaluation_id, position, rule, method, class_idx, severity, status, observed, limit_value, message, advice"


def test_old_alerts_become_observations_each_of_a_resolved_alert(engine: Engine, database_url: str) -> None:
    """0003, there and back: nothing of an observation is lost on either way."""
    nan = float("nan")
    evaluation = evaluation_with(found(), recall(1), recall(1), found(observed=nan, limit=nan), version=3)
    save_evaluation(engine, evaluation, night(1))
    save_evaluation(engine, evaluation_with(found(), name="letters"), night(1))
    downgrade(database_url, "0002")
    before = old_alerts(database_url)
    assert len(before) == 5
    assert {"alert_observations", "alert_marks", "alert_notices"}.isdisjoint(tables(database_url))

    upgrade(database_url)
    observations = rows_of(engine, "alert_observations")
    assert [tuple(row[name] for name in OBSERVED.split(", ")) for row in observations] == before
    lives = rows_of(engine, "alerts")
    assert [row["alert_id"] for row in observations] == [life["id"] for life in lives]
    assert [(life["model_name"], life["version"], life["method"], life["class_name"]) for life in lives] == [
        ("digits", 3, "case", None),
        ("digits", 3, "", "dog"),
        ("digits", 3, "", "dog"),
        ("digits", 3, "case", None),
        ("letters", 1, "case", None),
    ]
    [saved_at, *_] = [row["updated_at"] for row in rows_of(engine, "evaluations")]
    assert lives[0]["opened_at"] == lives[0]["last_seen_at"] == lives[0]["resolved_at"] == saved_at
    assert {life["resolution"] for life in lives} == {
        "from before alerts were followed from one evaluation to the next"
    }

    save_evaluation(engine, evaluation, night(1))
    assert len(load_alert_lives(engine)) == 2  # what still holds opens
    downgrade(database_url, "0002")
    assert len(old_alerts(database_url)) == 5


def test_rebuilding_a_table_keeps_its_children(engine: Engine, database_url: str) -> None:
    """What a later migration will do on SQLite, where altering a table drops it."""
    evaluation = an_evaluation()
    again = Reproduction(n=9, changed_predictions=0, confidence_difference=0.0, score_difference=0.0, worst="")
    evidence = some_evidence(evaluation)
    evaluation_id = save_evaluation(engine, evaluation, gallery=a_gallery(evaluation), evidence=evidence)
    save_reproduction(engine, evaluation_id, again, evaluation, night(1), "cpu", "2.13.0+cpu")
    before = counts(engine)
    with migrating(database_url) as connection:
        operations = Operations(MigrationContext.configure(connection))
        with operations.batch_alter_table("evaluations") as batch:
            batch.alter_column("duration_s", existing_type=sa.Double(), nullable=True)
    assert counts(engine) == before
    assert min(before[name] for name in set(before) - {"promotions", "promotion_runs", *WORK}) > 0


def test_a_migration_that_breaks_foreign_keys_changes_nothing(engine: Engine, database_url: str) -> None:
    save_evaluation(engine, an_evaluation())
    before = counts(engine)
    with pytest.raises(StoreError, match="foreign key"), migrating(database_url) as connection:
        connection.execute(sa.text("DELETE FROM model_versions"))
    assert counts(engine) == before


def test_a_database_of_somebody_else_is_left_alone(database_url: str) -> None:
    """MLflow's, for example, which has a table of one of our names."""
    with connected(database_url) as connection:
        connection.execute(sa.text("CREATE TABLE samples (theirs INTEGER)"))
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('theirs')"))
    with pytest.raises(StoreError, match=r"another program's database \(table samples\)"):
        upgrade(database_url)
    assert tables(database_url) == {"samples", "alembic_version"}
    with connected(database_url) as connection:
        assert connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one() == "theirs"


def test_a_failing_upgrade_leaves_nothing_behind(database_url: str) -> None:
    """The last of several migrations fails: what those before it did is undone, too."""
    upgrade(database_url, "0007")
    with connected(database_url) as connection:
        connection.execute(sa.text("CREATE TABLE promotion_runs (theirs INTEGER)"))
    before = tables(database_url)
    with pytest.raises(StoreError, match=r"promotion_runs.* already exists"):
        upgrade(database_url)
    assert tables(database_url) == before
    with connected(database_url) as connection:
        assert revision_of(connection) == "0007"


def test_unknown_revision(database_url: str) -> None:
    with pytest.raises(StoreError, match=r"to nonsense: .*nonsense"):
        upgrade(database_url, "nonsense")


def test_offline_mode_is_refused(database_url: str) -> None:
    with migrating(database_url) as connection, pytest.raises(CommandError, match="need a database"):
        command.upgrade(alembic_config(connection), "head", sql=True)


def test_concurrent_upgrades(database_url: str) -> None:
    code = "import sys; from case_monitor.store.migrate import upgrade; upgrade(sys.argv[1])"
    with ThreadPoolExecutor(2) as pool:
        runs = pool.map(
            lambda _: subprocess.run(
                [sys.executable, "-c", code, database_url], capture_output=True, text=True, timeout=60
            ),
            range(2),
        )
        assert [(run.returncode, run.stderr) for run in runs] == [(0, "")] * 2
    assert tables(database_url) == {*Base.metadata.tables, VERSION_TABLE}
