"""Rows as a database of an older revision holds them: those of today, in the tables and columns of that revision.

No table is named here, so that a new migration is tried without a line about it.
"""

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, Engine

from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.reproduction import Reproduction
from case_monitor.store.tables import VERSION_TABLE, Base
from case_monitor.store.write import save_evaluation, save_reproduction
from case_monitor.store.write.promotion import note_run, record_promotion
from tests.support.alerting import evaluation_with, found, night, recall
from tests.support.factories import a_gallery
from tests.support.rows import rows_of

Row = dict[str, Any]
Rows = dict[str, list[Row]]  # by table

NAME = "digits 'é' \U0001f600"


def todays_batches(engine: Engine, count: int) -> list[Rows]:
    """What the product writes for each of several models, and an invented row in each table that is empty else."""
    batches, before = [], _keys(_all(engine))
    for number in range(count):
        _save(engine, number)
        rows = _all(engine)
        batches.append({name: [r for r in of if _key(name, r) not in before[name]] for name, of in rows.items()})
        before = _keys(rows)
    for number, batch in enumerate(batches):
        for table in Base.metadata.sorted_tables:
            batch[table.name] = batch[table.name] or [_invented(table, number, batch)]
    return batches


def _save(engine: Engine, number: int) -> None:
    """A version in production that fails, is promoted all the same, and is looked at again in the night."""
    results = (found(observed=float("nan")), recall(0), recall(1))
    few = {"num_samples": 4, "class_names": ("<cat>", "dog")}
    evaluation = evaluation_with(*results, name=f"{NAME} {number}", version=number + 1, **few)
    evaluation_id = save_evaluation(engine, evaluation, night(1), a_gallery(evaluation, side=16, rows=1))
    again = Reproduction(n=9, changed_predictions=1, confidence_difference=0.1, score_difference=0.0, worst="")
    save_reproduction(engine, evaluation_id, again, evaluation, night(2), "cpu", "2.13.0+cpu")
    decided = {"model_name": evaluation.model.name, "alias": "champion", "version": number + 1}
    for decision in (Decision.PROMOTED, Decision.WITHHELD):
        promotion = Promotion(
            **decided, previous_version=None, decision=decision, evaluation_id=evaluation_id, reason="as\nit was"
        )
        note_run(engine, f"{decision} {number}", record_promotion(engine, promotion))


def _all(engine: Engine) -> Rows:
    return {name: rows_of(engine, name) for name in Base.metadata.tables}


def _keys(rows: Rows) -> dict[str, set[str]]:
    return {name: {_key(name, row) for row in of} for name, of in rows.items()}


def _key(table: str, row: Row) -> str:
    return str([row[column.name] for column in Base.metadata.tables[table].primary_key])


def _invented(table: sa.Table, number: int, batch: Rows) -> Row:
    return {column.name: _value(column, number, batch) for column in table.columns}


def _value(column: sa.Column[Any], number: int, batch: Mapping[str, list[Row]]) -> Any:
    """Of the column's type; one that is allowed, and refers to a row of the batch."""
    for key in column.foreign_keys:
        return batch[key.column.table.name][0][key.column.name]
    allowed = _allowed(column)
    if allowed:
        return allowed[number % len(allowed)]
    kind = column.type.impl if isinstance(column.type, sa.TypeDecorator) else column.type
    values: dict[type, Any] = {
        str: f"{column.name} {number} \U0001f600",
        int: number + 1,
        float: 0.5 + number,
        bool: bool(number % 2),
        bytes: b"\x00\xff",
        list: [f"{number}", {"a": None}],
        datetime: datetime(2026, 10, 1, tzinfo=UTC) + timedelta(days=number),
    }
    return values[list if isinstance(kind, sa.JSON) else kind.python_type]


def _allowed(column: sa.Column[Any]) -> list[str]:
    checks = [c for c in column.table.constraints if isinstance(c, sa.CheckConstraint)]
    pattern = rf"\b{column.name} IN \(([^)]*)\)"
    found = [m for c in checks if (m := re.search(pattern, str(c.sqltext)))]
    return re.findall(r"'(\w+)'", found[0][1]) if found else []


def reflected(connection: Connection) -> dict[str, sa.Table]:
    """The tables as they are at this moment, parents first, but for the one of the revision."""
    metadata = sa.MetaData()
    metadata.reflect(connection)
    return {table.name: table for table in metadata.sorted_tables if table.name != VERSION_TABLE}


def todays_table(table: sa.Table) -> str:
    """Where its rows are today: in the table of that name if it has the columns, else where most of them are."""

    def fit(other: sa.Table) -> tuple[int, bool]:
        return len(set(columns_of(table)) & set(columns_of(other))), other.name == table.name

    return max(Base.metadata.tables.values(), key=fit).name


def insert_as_then(connection: Connection, tables: Mapping[str, sa.Table], batch: Rows, number: int) -> None:
    """Put a batch into the tables of an older revision; what they have no column for is left out."""
    for table in tables.values():
        known = batch[todays_table(table)]
        invented = {} if known[0].keys() >= set(columns_of(table)) else _invented(table, number, batch)
        rows = [{name: row.get(name, invented.get(name)) for name in columns_of(table)} for row in known]
        connection.execute(table.insert(), rows)
        if connection.dialect.name == "postgresql" and "id" in table.columns:
            last = f"SELECT setval(pg_get_serial_sequence('{table.name}', 'id'), max(id)) FROM {table.name}"
            connection.execute(sa.text(last))


def columns_of(table: sa.Table) -> list[str]:
    """Their names."""
    return [column.name for column in table.columns]


def as_text(row: Mapping[str, Any], columns: Sequence[str]) -> str:
    """A row, so that equal ones are equal: some values are lists."""
    return json.dumps([row[name] for name in columns], default=repr, sort_keys=True)
