"""Two columns of a CSV or Parquet file, as text, with the place where each row stands."""

import csv
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from case_monitor.domain.errors import DataError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.settings import TableSplit

_DELIMITERS = ",;\t"
_CSV = {".csv", ".tsv", ".txt"}
MISSING = {"", "nan", "NaN", "<NA>"}
"""As pandas writes a label that is not there."""
_PARQUET = {".parquet", ".pq"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """(N,) columns."""

    paths: tuple[str, ...]
    labels: tuple[str, ...]
    where: tuple[str, ...]


def read_rows(spec: TableSplit) -> Rows:
    """Those of the file.

    Raises:
        DataError: it is none, lacks a column, or a cell is empty.
    """
    suffix = spec.path.suffix.lower()
    if suffix not in _CSV | _PARQUET:
        msg = f"split: a table was expected at {spec.path}: {', '.join(sorted(_CSV | _PARQUET))}, {suffix!r} came"
        raise DataError(msg)
    if not spec.path.is_file():  # a pipe would be waited for
        msg = f"split: a table was expected at {spec.path}, no file is there"
        raise DataError(msg)
    rows = _of_parquet(spec) if suffix in _PARQUET else _of_csv(spec)
    for path, label, where in zip(rows.paths, rows.labels, rows.where, strict=True):
        empty = spec.label_column if path.strip() else spec.path_column
        missing = label.strip() in MISSING and (spec.label_separator is None or bool(label.strip()))
        if not path.strip() or missing:
            came = repr(label) if path.strip() and label.strip() else "none"
            msg = f"split {spec.path.name!r}, {where}: a value in column {empty!r} was expected, {came} came"
            raise DataError(msg)
    return rows


def _of_csv(spec: TableSplit) -> Rows:
    try:
        with spec.path.open(encoding="utf-8-sig", newline="") as file:  # -sig: without the mark that Excel writes
            first = file.readline()
            delimiter, places = _columns(spec, first)
            file.seek(0)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            expected = len(next(reader))
            cells, where = [], []
            for row in reader:
                if row and len(row) != expected:
                    msg = (
                        f"{expected} cells were expected in line {reader.line_num}, {len(row)} came; quote a value that"
                    )
                    raise csv.Error(f"{msg} holds {delimiter!r}")
                if row:
                    cells.append((row[places[0]], row[places[1]]))
                    where.append(f"line {reader.line_num}")
    except UnicodeDecodeError:
        raise DataError(f"split {spec.path.name!r}: a table in UTF-8 was expected, other bytes came") from None
    except (csv.Error, OSError) as error:
        raise DataError(f"split {spec.path.name!r}: {short_message(error)}") from None
    return Rows(paths=tuple(path for path, _ in cells), labels=tuple(label for _, label in cells), where=tuple(where))


def _columns(spec: TableSplit, first: str) -> tuple[str, tuple[int, int]]:
    """What separates columns, and where the two are, by the line with their names."""
    wanted = spec.path_column, spec.label_column
    headers = {delimiter: next(csv.reader([first], delimiter=delimiter), []) for delimiter in _DELIMITERS}
    for delimiter, names in headers.items():
        if set(wanted) <= set(names):
            _require_once(spec, names)
            return delimiter, (names.index(wanted[0]), names.index(wanted[1]))
    raise _no_such_columns(spec, max(headers.values(), key=len))


def _of_parquet(spec: TableSplit) -> Rows:
    wanted = [spec.path_column, spec.label_column]
    try:
        schema = pq.read_schema(spec.path)
        _require_once(spec, schema.names)
        if not set(wanted) <= set(schema.names):
            raise _no_such_columns(spec, schema.names)
        table = pq.read_table(spec.path, columns=wanted)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"split {spec.path.name!r}: no Parquet can be read: {short_message(error)}") from None
    paths, labels = (_texts(spec, table.column(name), name) for name in wanted)
    return Rows(paths=paths, labels=labels, where=tuple(f"row {i}" for i in range(len(paths))))


def _texts(spec: TableSplit, column: pa.ChunkedArray, name: str) -> tuple[str, ...]:
    """The column as text, where it is of the kind that is asked for: integers that are floats had gaps."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    numbers = name == spec.label_column and spec.labels == "indices"
    fits = pa.types.is_integer(kind) if numbers else pa.types.is_string(kind) or pa.types.is_large_string(kind)
    if not fits:
        remedy = "; say labels: indices" if name == spec.label_column and pa.types.is_integer(kind) else ""
        what = "integers" if numbers else "text"
        msg = f"split {spec.path.name!r}, column {name!r}: {what} was expected, {column.type} came{remedy}"
        raise DataError(msg)
    return tuple("" if value is None else str(value) for value in column.to_pylist())


def _require_once(spec: TableSplit, names: list[str]) -> None:
    twice = next((name for name in (spec.path_column, spec.label_column) if names.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"split {spec.path.name!r}: column {twice!r} was expected once, it is there several times")


def _no_such_columns(spec: TableSplit, names: list[str]) -> DataError:
    shown = ", ".join(repr(name[:40]) for name in names[:8]) + (", ..." if len(names) > 8 else "")
    wanted = f"columns {spec.path_column!r} and {spec.label_column!r}"
    return DataError(
        f"split {spec.path.name!r}: {wanted} were expected, {shown or 'nothing'} came; say path_column and label_column"
    )
