"""The GPU's benchmark runs to its end on any machine, and what it saves is what the documentation shows."""

import gc
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import gpu, gpu_measure, gpu_table
from benchmarks.gpu_report import Report

ROOT = Path(__file__).parents[2]


@pytest.fixture
def frozen_garbage() -> Iterator[None]:
    """As the program does it: races collect garbage before every measurement, and other tests' objects are none."""
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("frozen_garbage")
def test_the_quick_run_fills_every_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu_measure, "_LEAST_SECONDS", 0.005)
    assert gpu.main(["--quick", "--device", "cpu", "--save", str(tmp_path / "gpu.json")]) == 0
    sections = json.loads((tmp_path / "gpu.json").read_text())["sections"]
    assert {name: section["status"] for name, section in sections.items()} == dict.fromkeys(gpu.SECTIONS, "done")
    assert all(section["rows"] and not section["failures"] for section in sections.values())
    assert all(row["within"] for row in sections["parity"]["rows"])
    predict, *suites = sections["readbacks"]["rows"]
    assert predict["reads"]["total"] < min(suite["reads"]["total"] for suite in suites)
    assert all(" case_monitor/" in f" {line.partition(': ')[2]}" for line in suites[0]["reads"]["lines"])


def test_a_section_that_runs_out_of_time_or_fails_loses_no_other(tmp_path: Path) -> None:
    saved = tmp_path / "gpu.json"
    report = Report(saved, {})

    def broken(section: object) -> None:
        raise ValueError("no such kernel\nwith a path")

    assert not report.run("slow", "", 0.05, lambda section: (section.add({"row": 1 / 3}), time.sleep(5)))
    assert not report.run("broken", "", 5, broken)
    assert report.run("good", "", 5, lambda section: section.add({"row": 2}))
    found = json.loads(saved.read_text())["sections"]
    assert [section["rows"] for section in found.values()] == [[{"row": 0.3333}], [], [{"row": 2}]]
    assert found["slow"]["failures"] == ["slow: out of time after 0 s"]
    assert found["broken"]["failures"] == ["broken: ValueError: no such kernel"]


def test_the_documentation_shows_the_saved_tables() -> None:
    text = (ROOT / "docs" / "performance.md").read_text()
    assert gpu_table.as_markdown(json.loads((ROOT / "benchmarks" / "gpu.json").read_text())) in text
