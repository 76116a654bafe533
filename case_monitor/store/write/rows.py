"""What every write needs: a record's fields as a row of what drivers take, and an INSERT that may meet its row."""

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from case_monitor.domain.errors import StoreError
from case_monitor.store.tables import Base

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = dict[str, object]

_AS_IT_IS = frozenset({int, bool, type(None)})
# PostgreSQL refuses NUL. Half a surrogate pair is what Python makes of a file name that is not UTF-8.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def dialect_insert(connection: Connection, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, which both databases have and plain SQLAlchemy has not."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def fields_of(record: "DataclassInstance") -> Row:
    """The record's fields; `dataclasses.asdict` would copy every value, and there are tens of thousands."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def bindable(table: type[Base], row: Row) -> Row:
    """The row with every value as a driver takes it; what no database takes raises."""
    return {name: _bound(value, table, name) for name, value in row.items()}


def _bound(value: Any, table: type[Base], name: str) -> Any:
    kind = type(value)
    if kind in _AS_IT_IS:  # nearly all: a large evaluation has millions of values
        return value
    if kind is float:
        return None if math.isnan(value) else value
    return _plain(value, f"{table.__tablename__}.{name}")


def _plain(value: object, where: str) -> object:
    """What a driver takes: numpy scalars as Python's, NaN as NULL; text that no database takes raises."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, Mapping):
        return {name: _json(item, where) for name, item in value.items()}
    return [_json(item, where) for item in value] if isinstance(value, tuple | list) else value


def _json(value: object, where: str) -> object:
    """As `_plain`; JSON has no infinity, so that is spelled out."""
    return str(value) if isinstance(value, float) and math.isinf(value) else _plain(value, where)


def _text(value: str, where: str) -> str:
    if _UNSTORABLE.search(value):
        raise StoreError(f"{where} holds NUL or half a surrogate pair, which cannot be stored: {value!a:.100}")
    return str(value)
