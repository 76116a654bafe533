"""From rows to fields of records: NULL among figures was NaN, and is again."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, Engine, RowMapping, Select, func, select

from case_monitor.domain.arrays import UNDEFINED
from case_monitor.domain.errors import StoreError
from case_monitor.store.connection import reading
from case_monitor.store.tables import ChildRow, EvaluationRow


def values_of(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    """The rows as they are to be in records, by name of the column."""
    columns = query.selected_columns
    names = [str(column.key) for column in columns]
    undefined = [UNDEFINED if isinstance(column.type, Double) else None for column in columns]
    return [
        {name: absent if value is None else value for name, absent, value in zip(names, undefined, row, strict=True)}
        for row in connection.execute(query)
    ]


def some_values_of(
    engine: Engine, query: Select[Any], limit: int | None, offset: int
) -> tuple[list[dict[str, Any]], int]:
    """Up to `limit` of the rows from the one at `offset`, and how many there are in all."""
    with reading(engine) as connection:
        total = connection.execute(select(func.count()).select_from(query.order_by(None).subquery())).scalar_one()
        return (values_of(connection, query.limit(limit).offset(offset)) if offset < total else []), total


def parts_of(
    evaluation_id: int, table: type[ChildRow], names: tuple[str, ...], *conditions: ColumnElement[bool]
) -> Select[Any]:
    """Columns of an evaluation's rows, in the order saved."""
    columns = table.__table__.columns
    query = select(*(columns[name] for name in names)).where(table.evaluation_id == evaluation_id, *conditions)
    return query.order_by(*table.__table__.primary_key)


def required(connection: Connection, evaluation_id: int) -> RowMapping:
    """The row of an evaluation.

    Raises:
        StoreError: there is none.
    """
    query = select(EvaluationRow.__table__).where(EvaluationRow.id == evaluation_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise StoreError(f"evaluation {evaluation_id} is not stored")
    return row
