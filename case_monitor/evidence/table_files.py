"""Tables as files: CSV to read, Parquet to compute on.

CSV is UTF-8 with an empty field for what is undefined. A text that a spreadsheet would take for a formula (it begins
with `=`, `+`, `-`, `@`, a tab or a line break) gets an apostrophe in front, also after a semicolon or a line break
within it; numbers and Parquet stay as they are.
"""

import csv
import re
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

_SIGNS = "=+@\N{FULLWIDTH EQUALS SIGN}\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH HYPHEN-MINUS}\N{FULLWIDTH COMMERCIAL AT}-"
_FORMULA = (*_SIGNS, "\t", "\r", "\n")
# Where the list separator is a semicolon, or a line break is taken for a new row, a cell begins within the text.
_WITHIN = re.compile(rf"(?<=[;\t\r\n])(?=[{_SIGNS}])")


def write_csv(frame: pd.DataFrame, path: Path) -> Path:
    """Write a file; returns its path."""
    path.write_bytes(csv_bytes(frame))
    return path


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """The frame without its index."""
    safe = pd.DataFrame({column: list(_cells(frame[column])) for column in frame}, dtype=object)
    # Every text is quoted: a bare carriage return would otherwise split a row.
    text: str = safe.to_csv(index=False, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
    return text.encode()


def _cells(column: "pd.Series[object]") -> Iterator[object]:
    for value in column:
        if isinstance(value, str):
            text = _WITHIN.sub("'", plain(value))
            yield f"'{text}" if text.startswith(_FORMULA) else text
        else:
            yield None if pd.isna(value) else value


def write_parquet(table: pa.Table, path: Path) -> Path:
    """Write a file; returns its path."""
    pq.write_table(table, path)
    return path


def parquet_bytes(table: pa.Table) -> bytes:
    """The table as the content of a file."""
    sink = BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def plain(text: str) -> str:
    """`text` without lone surrogates (file names that are no UTF-8), which no file format here can hold."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
