"""docs/database.md has every table and every column, and no other."""

import re
from pathlib import Path

import pytest

from case_monitor.store.tables import Base

PAGE = (Path(__file__).parents[2] / "docs" / "database.md").read_text(encoding="utf-8")
SECTIONS = {
    title: body for title, _, body in (section.partition("\n") for section in re.split(r"^## ", PAGE, flags=re.M)[1:])
}


@pytest.mark.parametrize("table", Base.metadata.tables)
def test_columns(table: str) -> None:
    rows = re.findall(r"^\| (`.*?) \|", SECTIONS[table], flags=re.M)
    described = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    prose = set(re.findall(r"`(\w+)`", SECTIONS[table].partition("| column")[0]))  # with what the key is made of
    columns = set(Base.metadata.tables[table].columns.keys())
    assert described <= columns
    assert columns - described <= prose
