"""The saved table of the saliency benchmark, and what a later run is held against."""

from dataclasses import replace
from pathlib import Path

from benchmarks import table

ROOT = Path(__file__).parents[2]
SAVED = ROOT / "benchmarks" / "saliency.json"


def test_the_documentation_shows_the_saved_table() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    assert table.as_markdown(table.load(SAVED)) in text


def test_only_what_fell_far_behind_is_named() -> None:
    row = next(r for r in table.load(SAVED) if r.unit == "x")
    assert table.slower_than_saved(SAVED, [replace(row, median=row.median * 0.95)]) == []
    (line,) = table.slower_than_saved(SAVED, [replace(row, median=row.median / 2)])
    assert row.model in line
    assert row.name in line
