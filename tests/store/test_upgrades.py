"""Data of every revision, to the head and back; readers in between; and code that meets another schema than its own."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from case_monitor.domain.errors import StoreError
from case_monitor.store import migrate, read
from case_monitor.store.connection import connect, reading, writing
from case_monitor.store.migrate import downgrade, upgrade
from case_monitor.store.open import open_store
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.read.promotions import promotions
from case_monitor.store.schema import current_revision, revisions
from case_monitor.store.tables import VERSION_TABLE
from case_monitor.store.write import save_evaluation
from tests.support.factories import an_evaluation
from tests.support.older_rows import (
    NAME,
    Rows,
    as_text,
    columns_of,
    insert_as_then,
    reflected,
    todays_batches,
    todays_table,
)

Stored = dict[str, tuple[list[str], Counter[str]]]  # by table: its columns, and its rows


@pytest.fixture(scope="module")
def batches(migrated_sqlite: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Rows]:
    """One for each revision."""
    file = tmp_path_factory.mktemp("today") / "today.db"
    file.write_bytes(migrated_sqlite.read_bytes())
    engine = connect(f"sqlite:///{file}")
    made = todays_batches(engine, len(revisions()))
    engine.dispose()
    assert all(batch[name] for batch in made for name in batch)
    return made


def stored(connection: Connection, tables: dict[str, sa.Table]) -> Stored:
    return {name: (columns_of(table), rows_in(connection, table)) for name, table in tables.items()}


def rows_in(connection: Connection, table: sa.Table, columns: Sequence[str] = ()) -> Counter[str]:
    """All of a table; some columns only, if they are given."""
    asked = columns or columns_of(table)
    rows = connection.execute(sa.select(*(table.columns[name] for name in asked))).mappings()
    return Counter(as_text(row, asked) for row in rows)


def added(after: Stored, before: Stored) -> Stored:
    return {name: (columns, rows - before[name][1]) for name, (columns, rows) in after.items()}


def test_data_of_every_revision_comes_to_the_head_and_back(database_url: str, batches: list[Rows]) -> None:
    """At each revision a model more, as that revision stores it. None loses or changes a value on its way."""
    engine = connect(database_url)  # a reader that stays connected
    then: list[Stored] = []
    places: list[dict[str, str]] = []
    for number, revision in enumerate(revisions()):
        upgrade(database_url, revision)
        with engine.begin() as connection:
            tables = reflected(connection)
            before = stored(connection, tables)
            insert_as_then(connection, tables, batches[number], number)
            then.append(added(stored(connection, tables), before))
        places.append({name: todays_table(table) for name, table in tables.items()})
        assert all(rows for _, rows in then[-1].values())

    with engine.connect() as connection:
        head = reflected(connection)
        for number, of_batch in enumerate(then):
            for name, (columns, rows) in of_batch.items():
                now = rows_in(connection, head[places[number][name]], columns)
                assert not rows - now, (revisions()[number], name)
        in_all = {name: sum(len(batch[name]) for batch in batches) for name in head}
        now_in_all = {name: len(connection.execute(sa.select(table)).all()) for name, table in head.items()}
    assert_told(engine, batches, now_in_all, in_all)

    for number, revision in reversed(list(enumerate(revisions()))):
        downgrade(database_url, revision)
        with engine.connect() as connection:
            again = stored(connection, reflected(connection))
        assert again.keys() == then[number].keys()
        for name, (columns, rows) in then[number].items():
            assert set(columns) == set(again[name][0])
            assert not rows - again[name][1], (revision, name)
    engine.dispose()


def assert_told(engine: Engine, batches: list[Rows], now: dict[str, int], in_all: dict[str, int]) -> None:
    """The product reads all of it; nothing is there twice, and only what a revision did not know is not there."""
    for number, batch in enumerate(batches):
        [evaluation] = read.evaluations(engine, f"{NAME} {number}")
        assert (evaluation.version, evaluation.id) == (number + 1, batch["evaluations"][0]["id"])
        verdict = read.load_verdict(engine, evaluation.id)
        assert (verdict.status, len(verdict.results)) == (evaluation.verdict_status, len(batch["threshold_results"]))
        figures = {(s.metric, s.method, s.class_idx): s.value for s in read.load_summaries(engine, evaluation.id)}
        assert len(figures) == len(batch["metric_summaries"])
        assert len(read.load_alerts(engine, evaluation.id)) == len(batch["alert_observations"])
        assert len(promotions(engine, f"{NAME} {number}")) == len(batch["promotions"])
    assert load_alert_lives(engine)
    for name, count in now.items():
        more = 1 if name == "alerts" else 0  # 0003 gives each of the two older ones a life of its own
        assert count <= in_all[name] + more * len(batches), name
    assert (now["evaluations"], now["sample_scores"]) == (in_all["evaluations"], in_all["sample_scores"])


@contextmanager
def an_open_reader(engine: Engine) -> Iterator[Connection]:
    """Somebody who looks at an evaluation, and has not finished."""
    with reading(engine) as connection:
        connection.execute(sa.text("SELECT count(*) FROM evaluations")).scalar_one()
        yield connection


def test_an_upgrade_past_a_reader(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's readers keep the state that they began with; on PostgreSQL a migration gives way to them, soon.

    0011 alters a table that the reader looks at.
    """
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_S", 0.2)
    upgrade(database_url, "0010")
    engine = connect(database_url)
    with an_open_reader(engine) as connection:
        if engine.dialect.name == "postgresql":
            with pytest.raises(
                StoreError, match=r"others use the tables.*nothing was changed.*case-monitor db upgrade$"
            ):
                upgrade(database_url)
            assert current_revision(engine) == "0010"
        else:
            upgrade(database_url)
        assert connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar_one() == "0010"
    upgrade(database_url)
    assert current_revision(engine) == revisions()[-1]
    engine.dispose()


def test_an_upgrade_waits_for_what_goes_by_the_schema_before(
    database_url: str, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where it has touched no table yet: what it asked at its beginning would not be true at its end."""
    if engine.dialect.name == "sqlite":
        monkeypatch.setattr("case_monitor.store.connection.BUSY_TIMEOUT_S", 0.2)
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT_S", 0.2)
    running = open_store(database_url)
    with writing(running) as connection:
        connection.execute(sa.text("SELECT 1"))
        with pytest.raises(StoreError, match="others use the tables"):
            downgrade(database_url, "0010")
    downgrade(database_url, "0010")
    running.dispose()


def set_revision(engine: Engine, revision: str) -> None:
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE {VERSION_TABLE} SET version_num = :r"), {"r": revision})


@pytest.mark.parametrize(
    ("revision", "said"),
    [
        (
            "9999",
            r"has the schema 9999, which is newer than case-monitor \S+; install the case-monitor that upgraded it",
        ),
        (revisions()[-2], f"has the older schema {revisions()[-2]}; run: case-monitor db upgrade$"),
    ],
)
def test_what_is_running_stops_at_another_schema(engine: Engine, database_url: str, revision: str, said: str) -> None:
    """Every read and every write, in one line; and goes on when the schema is its own again."""
    running = open_store(database_url)
    evaluation_id = save_evaluation(running, an_evaluation())
    set_revision(engine, revision)
    uses: list[Any] = [
        lambda: save_evaluation(running, an_evaluation(version=2)),
        lambda: read.evaluations(running, "digits"),
        lambda: read.load_verdict(running, evaluation_id),
    ]
    for use in uses:
        with pytest.raises(StoreError, match=said) as caught:
            use()
        assert "\n" not in str(caught.value)
    set_revision(engine, revisions()[-1])
    assert [e.version for e in read.evaluations(running, "digits")] == [1]
    running.dispose()


def test_what_is_running_stops_where_the_tables_are_gone(engine: Engine, database_url: str) -> None:
    running = open_store(database_url)
    downgrade(database_url, "base")
    with pytest.raises(StoreError, match=r"has no case_monitor tables yet; run: case-monitor db upgrade$"):
        read.evaluations(running, "digits")
    running.dispose()
