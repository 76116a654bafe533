"""Items as files: a column per field."""

from dataclasses import fields
from types import NoneType
from typing import Any, get_args, get_type_hints

import pandas as pd
import pyarrow as pa

from case_monitor.evidence.table_files import csv_bytes, parquet_bytes, plain

_ARROW = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}


def csv_of(kind: type[Any], items: tuple[Any, ...]) -> bytes:
    """CSV; what is undefined is an empty field."""
    names = [field.name for field in fields(kind)]
    columns = {name: pd.Series([getattr(item, name) for item in items], dtype=object) for name in names}
    return csv_bytes(pd.DataFrame(columns))


def parquet_of(kind: type[Any], items: tuple[Any, ...]) -> bytes:
    """Parquet; what is undefined is null."""
    types = get_type_hints(kind)
    columns = {
        field.name: pa.array([_plain(getattr(item, field.name)) for item in items], _arrow(types[field.name]))
        for field in fields(kind)
    }
    return parquet_bytes(pa.table(columns))


def _arrow(annotation: object) -> pa.DataType:
    kinds = [kind for kind in get_args(annotation) or (annotation,) if kind is not NoneType]
    return _ARROW.get(kinds[0], pa.string())


def _plain(value: object) -> object:
    return plain(value) if isinstance(value, str) else value
