"""The Grafana dashboard, without Grafana: what it asks is run on a real PostgreSQL, as the role that may ask it."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import ProgrammingError

from case_monitor.store.connection import connect
from case_monitor.store.migrate import upgrade
from tests.support.databases import autocommit
from tests.support.generated_store import HOSTILE_NAME, fill

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "docker" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "explanation-quality.json").read_text("utf-8"))
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
FROM = UNTIL - timedelta(days=365)
READER = "case_monitor_reader"
VIEWS = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")
SQL = re.search(r"## Grafana\n.*?```sql\n(.*?)```", (ROOT / "docs" / "deployment.md").read_text("utf-8"), re.S)


@pytest.fixture(scope="module")
def store(postgres_server: URL) -> Iterator[Engine]:
    """A small store, and the role as docs/deployment.md makes it."""
    with autocommit(postgres_server) as connection:
        connection.exec_driver_sql("CREATE DATABASE grafana_store ENCODING 'UTF8' TEMPLATE template0")
    url = postgres_server.set(database="grafana_store").render_as_string(hide_password=False)
    upgrade(url)
    engine = connect(url)
    fill(engine, models=2, versions=21, classes_large=0, until=UNTIL)
    assert SQL is not None
    with engine.begin() as connection:
        connection.exec_driver_sql(SQL[1])
    yield engine
    engine.dispose()
    with autocommit(postgres_server) as connection:
        connection.exec_driver_sql("DROP DATABASE grafana_store WITH (FORCE)")
        connection.exec_driver_sql(f"DROP ROLE {READER}")


@pytest.fixture
def reader(store: Engine) -> Iterator[Connection]:
    with store.connect() as connection:
        connection.exec_driver_sql(f"SET ROLE {READER}")
        yield connection
        connection.exec_driver_sql("ROLLBACK")
        connection.exec_driver_sql("RESET ROLE")


def expanded(sql: str, model: str) -> str:
    """As Grafana does: first the variables, then the macros of its PostgreSQL data source."""
    sql = sql.replace("${model:sqlstring}", "'" + model.replace("'", "''") + "'")
    return re.sub(r"\$__(\w+)\(([^()]*)\)", lambda found: _macro(found[1], found[2]), sql)


def _macro(name: str, arguments: str) -> str:
    first, last = (f"'{at:%Y-%m-%dT%H:%M:%SZ}'" for at in (FROM, UNTIL))
    column, _, interval = (part.strip() for part in arguments.partition(","))
    if name == "timeFilter":
        return f"{column} BETWEEN {first} AND {last}"
    if name == "timeGroup":
        days = re.fullmatch(r"'(\d+)d'", interval)
        assert days is not None, interval
        seconds = int(days[1]) * 86400
        return f"floor(extract(epoch from {column})/{seconds})*{seconds}"
    if name in {"timeFrom", "timeTo"}:
        return first if name == "timeFrom" else last
    raise AssertionError(f"unknown macro $__{name}")


def ask(reader: Connection, sql: str, model: str = HOSTILE_NAME) -> list[dict[str, Any]]:
    asked = expanded(sql, model)
    assert "$" not in asked.replace("$'", ""), f"not filled in: {asked}"  # but for the end of a regular expression
    return [dict(row) for row in reader.execute(text(asked.replace(":", r"\:"))).mappings()]


def sql_of(panel: dict[str, Any]) -> str:
    [target] = panel["targets"]
    assert target["rawQuery"] is True
    return str(target["rawSql"])


def all_sql() -> list[str]:
    variables = [variable["query"] for variable in DASHBOARD["templating"]["list"]]
    annotations = [annotation["target"]["rawSql"] for annotation in DASHBOARD["annotations"]["list"]]
    return [*map(sql_of, PANELS), *variables, *annotations]


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_panel_gets_rows_of_the_types_that_it_needs(reader: Connection, panel: dict[str, Any], number: int) -> None:
    [variable] = DASHBOARD["templating"]["list"]
    models = [row["model"] for row in ask(reader, variable["query"])]
    rows = ask(reader, sql_of(panel), models[number])
    assert rows
    if panel["targets"][0]["format"] == "time_series":
        assert_is_series(rows)
    if panel["type"] == "stat":
        [row] = rows
        assert len(row) == 1
        assert None not in row.values()


def assert_is_series(rows: list[dict[str, Any]]) -> None:
    times = [row["time"] for row in rows]
    assert times == sorted(times)
    for row in rows:
        time, *others = row.items()
        assert time[0] == "time"
        assert isinstance(time[1], datetime | Decimal)  # a time, or seconds
        for name, value in others:
            assert isinstance(value, str if name == "metric" else int | float | None), name
    assert any(isinstance(value, int | float) for row in rows for value in row.values())


def test_a_panel_is_about_the_chosen_model_and_time_only(reader: Connection) -> None:
    of_both = sum(row["evaluations"] for name in models_of(reader) for row in ask(reader, sql_of(PANELS[3]), name))
    query = "SELECT count(*) FROM case_monitor_evaluations WHERE evaluated_at BETWEEN :first AND :last"
    assert of_both == reader.execute(text(query), {"first": FROM, "last": UNTIL}).scalar_one() > 0
    for sql in map(sql_of, PANELS):
        assert "${model:sqlstring}" in sql
        assert ("count(*)" in sql and "verdict" not in sql) or ask(reader, sql, "no such model") == []


def models_of(reader: Connection) -> list[str]:
    return [row["model"] for row in ask(reader, DASHBOARD["templating"]["list"][0]["query"])]


def test_the_intervals_hold_their_figures(reader: Connection) -> None:
    seen = 0
    for panel in PANELS:
        for row in ask(reader, sql_of(panel)):
            if "interval low" in row:
                _, value, low, high = row.values()
                assert low <= value <= high
                seen += 1
    assert seen > 20


def test_promotions_are_annotated(reader: Connection) -> None:
    [annotation] = DASHBOARD["annotations"]["list"]
    rows = ask(reader, annotation["target"]["rawSql"])
    assert len(rows) >= 3
    for row in rows:
        assert isinstance(row["time"], datetime)
        assert re.fullmatch(r"promoted: version \d+", row["text"])
        assert row["tags"] == "promoted"


def test_the_variable_offers_the_models(reader: Connection) -> None:
    assert HOSTILE_NAME in models_of(reader)
    assert len(models_of(reader)) == 2


def test_an_unknown_macro_is_seen() -> None:
    with pytest.raises(AssertionError, match="unknown macro"):
        expanded("SELECT $__timeGroupAlias(evaluated_at, '1d')", "m")


def test_only_views_are_read_and_the_role_can_read_nothing_else(reader: Connection) -> None:
    assert {view for sql in all_sql() for view in VIEWS.findall(sql)} == {
        f"case_monitor_{name}" for name in ("evaluations", "methods", "alerts", "promotions")
    }
    with pytest.raises(ProgrammingError, match="permission denied"):
        reader.exec_driver_sql("SELECT 1 FROM evaluations")


def test_provisioning_names_what_the_dashboard_refers_to() -> None:
    [source] = yaml.safe_load((GRAFANA / "provisioning" / "datasources" / "case-monitor.yaml").read_text())[
        "datasources"
    ]
    [provider] = yaml.safe_load((GRAFANA / "provisioning" / "dashboards" / "case-monitor.yaml").read_text())[
        "providers"
    ]
    services = yaml.safe_load((ROOT / "docker" / "compose.yaml").read_text())["services"]
    grafana = services["grafana"]
    reference = {"type": source["type"], "uid": source["uid"]}
    targets = [target for panel in PANELS for target in panel["targets"]]
    parts = [*PANELS, *targets, *DASHBOARD["templating"]["list"], *DASHBOARD["annotations"]["list"]]
    assert all(part["datasource"] == reference for part in parts)
    mounted = {volume.split(":")[1]: volume.split(":")[0] for volume in grafana["volumes"]}
    assert mounted[provider["options"]["path"]] == "./grafana/dashboards"
    assert mounted["/etc/grafana/provisioning"] == "./grafana/provisioning"
    said = json.dumps(source)
    assert set(re.findall(r"\$(\w+)", said)) - {"__file"} <= set(grafana["environment"])
    [secret] = re.findall(r"\$__file\{/run/secrets/(\w+)\}", said)
    assert secret in grafana["secrets"]


def test_the_dashboard_can_be_provisioned() -> None:
    assert re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", DASHBOARD["uid"])
    assert DASHBOARD["title"]
    assert "id" not in DASHBOARD  # Grafana gives it one
    ids = [panel["id"] for panel in PANELS]
    assert len(ids) == len(set(ids))
    places = [panel["gridPos"] for panel in PANELS]
    for i, a in enumerate(places):
        assert a["x"] + a["w"] <= 24
        for b in places[i + 1 :]:
            beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
            assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
