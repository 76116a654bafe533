import csv
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from case_monitor.domain.evaluation import Evaluation
from case_monitor.evidence.reports import drift_limit, report_labels, write_reports, write_tables
from tests.support.factories import an_evaluation

ATTACK = "</script><script>alert('c4n4ry')</script>"
HOSTILE = ("7", ATTACK, "=1+1", '<img src=x onerror=alert("c4n4ry")>', "<!--", 'a\rb,"c"\n', "\ud800", "猫")


class Page(HTMLParser):
    """What a browser would find: every element, and the text of scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append("")

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and self.scripts:
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def hostile() -> Evaluation:
    return an_evaluation(class_names=HOSTILE, num_samples=160)


@pytest.fixture(scope="module")
def reports(hostile: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    baseline = an_evaluation(class_names=HOSTILE, num_samples=160, seed=1)
    paths = write_reports(hostile, baseline.preds, tmp_path_factory.mktemp("reports") / "new")
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


class TestReports:
    def test_both_are_written_and_telemetry_is_off(self, reports: dict[str, str]) -> None:
        assert list(reports) == ["quality_by_label.html", "prediction_drift.html"]
        assert os.environ["DO_NOT_TRACK"]

    def test_a_class_name_cannot_become_code(self, reports: dict[str, str]) -> None:
        for name, text in reports.items():
            page = Page(text)
            assert [tag for tag, _ in page.tags if tag in ("script", "img")] == ["script"] * 4, name
            assert not any(script.strip().startswith("alert") for script in page.scripts)
            # The data stands in the first script, whole, and the class can still be read there.
            assert "[lt]/script[gt][lt]script[gt]alert('c4n4ry')" in page.scripts[0]
            assert "<" not in page.scripts[0].replace("<br>", "")

    def test_nothing_is_loaded_from_elsewhere(self, reports: dict[str, str]) -> None:
        for text in reports.values():
            tags = Page(text).tags
            assert not [tag for tag, attributes in tags if tag == "link" or "src" in attributes or "href" in attributes]
            style = text[text.index("<style>") : text.index("</style>")]
            assert "url(data:" in style
            assert "http" not in style

    def test_they_show_quality_and_drift(self, reports: dict[str, str]) -> None:
        assert "Recall" in reports["quality_by_label.html"]
        assert "predicted label" in reports["prediction_drift.html"]
        assert "confidence" in reports["prediction_drift.html"]

    def test_two_classes_and_a_thousand(self, tmp_path: Path) -> None:
        two = an_evaluation(class_names=("0", "1"), num_samples=20)
        [path] = write_reports(two, None, tmp_path / "two")
        assert '"1: 1"' in path.read_text()
        many = an_evaluation(class_names=tuple(str(i) for i in range(1000)), num_samples=5000)
        start = time.monotonic()
        [path] = write_reports(many, None, tmp_path / "many")
        assert time.monotonic() - start < 10  # 1 s on a machine of its own
        assert path.stat().st_size < 5e6

    def test_no_image_no_report(self, tmp_path: Path) -> None:
        assert write_reports(an_evaluation(num_samples=0), None, tmp_path) == []

    def test_labels_are_unique_and_sort_by_index(self) -> None:
        labels = report_labels(["same"] * 11 + ["1", "x" * 500, "a & b"])
        assert labels[1] == "01: same"
        assert labels[11] == "11: 1"
        assert labels[12].endswith("x…")
        assert len(labels[12]) < 70
        assert labels[13] == "13: a [amp] b"
        assert list(labels) == sorted(set(labels))

    def test_drift_limit_allows_for_sampling(self) -> None:
        rng = np.random.default_rng(0)
        one, other = rng.integers(0, 1000, (2, 20_000))
        p, q = (np.bincount(labels, minlength=1000) / 20_000 for labels in (one, other))
        m = (p + q) / 2
        distance = np.sqrt(0.5 * np.sum(p * np.log(p / m)) + 0.5 * np.sum(q * np.log(q / m)))
        assert 0.1 < distance < drift_limit(one, other) < 0.2
        assert drift_limit(np.zeros(50, int), np.zeros(50, int)) == pytest.approx(0.1)

    def test_evidently_is_imported_late(self) -> None:
        code = "import case_monitor.evidence.reports, sys; sys.exit('evidently' in sys.modules)"
        assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture(scope="module")
def tables(hostile: Evaluation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("tables") / "new"
    assert len(write_tables(hostile, directory)) == 6
    return directory


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestTables:
    def test_class_metrics(self, hostile: Evaluation, tables: Path) -> None:
        table = rows(tables / "class_metrics.csv")
        assert [row["class_name"] for row in table] == [*HOSTILE[:2], "'=1+1", *HOSTILE[3:6], "\\ud800", "猫"]
        scores = hostile.scores
        values = scores.values["gradcam++", "agreement"][scores.target == 3]
        assert float(table[3]["agreement_median.gradcam++"]) == pytest.approx(np.nanmedian(values))
        drops = scores.values["case", "confidence_drop_50"][scores.target == 3]
        assert float(table[3]["confidence_drop_50.case"]) == pytest.approx(drops.mean())
        assert int(table[3]["n_explained"]) == len(values)
        assert int(table[3]["support"]) == hostile.class_metrics[3].support
        assert table[0]["recall"] == ""  # NaN
        assert float(table[1]["recall"]) == 0.75

    def test_summaries(self, hostile: Evaluation, tables: Path) -> None:
        table = rows(tables / "summaries.csv")
        assert len(table) == len(hostile.summaries)
        assert table[0]["metric"] == "accuracy"
        assert table[0]["class_idx"] == table[0]["class_name"] == ""
        per_class = next(row for row in table if row["class_idx"] == "2")
        assert per_class["class_name"] == "'=1+1"
        assert table[-1]["value"] == ""

    def test_contrast_sets(self, hostile: Evaluation, tables: Path) -> None:
        table = rows(tables / "contrast_sets.csv")
        members = [member for members in hostile.contrast_sets.members for member in members]
        found = [(int(r["target_class"]), int(r["rank"]), int(r["class_idx"]), r["source"]) for r in table]
        assert found == [(m.target_class, m.rank, m.class_idx, m.source.value) for m in members]
        assert table[0]["target_name"] == "7"

    @pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n"])
    def test_formulas_are_neutralised_in_csv_only(self, start: str, tmp_path: Path) -> None:
        name = f"{start}cmd|' /C calc'!A0"
        evaluation = an_evaluation(class_names=("-", name, "a=b"))
        alert = replace(evaluation.alerts[0], class_idx=1)
        write_tables(replace(evaluation, alerts=(alert,)), tmp_path)
        names = [row["class_name"] for row in rows(tmp_path / "class_metrics.csv")]
        assert names == ["'-", f"'{name}", "a=b"]
        assert json.loads((tmp_path / "alerts.json").read_text())[0]["class_name"] == name

    def test_negative_numbers_stay_numbers(self, tmp_path: Path) -> None:
        evaluation = an_evaluation()
        summary = replace(evaluation.summaries[0], value=-0.25)
        write_tables(replace(evaluation, summaries=(summary,)), tmp_path)
        assert (tmp_path / "summaries.csv").read_text().splitlines()[1].split(",")[4] == "-0.25"

    def test_sample_scores_come_back(self, hostile: Evaluation, tables: Path) -> None:
        frame = pd.read_parquet(tables / "sample_scores.parquet")
        assert list(frame) == ["sample_id", "target", "top2", "method", "metric", "value"]
        assert len(frame) == len(hostile.scores.values) * len(hostile.scores.sample_ids)
        for (method, metric), values in hostile.scores.values.items():
            part = frame[(frame["method"] == method) & (frame["metric"] == metric)]
            np.testing.assert_array_equal(part["value"], values)
            assert tuple(part["sample_id"]) == hostile.scores.sample_ids
            np.testing.assert_array_equal(part["top2"], hostile.scores.top2)

    def test_predictions_come_back(self, hostile: Evaluation, tables: Path) -> None:
        frame = pd.read_parquet(tables / "predictions.parquet")
        preds = hostile.preds
        assert tuple(frame["sample_id"]) == preds.sample_ids
        np.testing.assert_array_equal(frame["pred"], preds.preds)
        np.testing.assert_array_equal(frame["correct"], preds.preds == preds.target)
        np.testing.assert_array_equal(frame["confidence"], preds.confidence)

    def test_file_names_that_are_no_text(self, tmp_path: Path) -> None:
        evaluation = an_evaluation(num_samples=1)
        preds = replace(evaluation.preds, sample_ids=("caf\udce9.png",))
        write_tables(replace(evaluation, preds=preds), tmp_path)
        assert pd.read_parquet(tmp_path / "predictions.parquet")["sample_id"][0] == "caf\\udce9.png"

    def test_alerts_are_strict_json(self, tmp_path: Path) -> None:
        evaluation = an_evaluation()
        alert = replace(evaluation.alerts[0], observed=float("nan"), limit=float("inf"), message='"</script>\ud800')
        write_tables(replace(evaluation, alerts=(alert,)), tmp_path)

        def refuse(constant: str) -> None:
            raise AssertionError(constant)

        [read] = json.loads((tmp_path / "alerts.json").read_text(encoding="utf-8"), parse_constant=refuse)
        assert read["observed"] is None
        assert read["limit"] is None
        assert read["severity"] == "block"
        assert read["message"] == '"</script>\\ud800'
        assert read["class_name"] is None

    def test_an_evaluation_without_anything(self, tmp_path: Path) -> None:
        evaluation = replace(an_evaluation(num_samples=0), summaries=(), alerts=(), class_metrics=())
        write_tables(replace(evaluation, scores=replace(evaluation.scores, values={})), tmp_path)
        assert json.loads((tmp_path / "alerts.json").read_text()) == []
        assert rows(tmp_path / "class_metrics.csv") == rows(tmp_path / "summaries.csv") == []
        scores = pd.read_parquet(tmp_path / "sample_scores.parquet")
        assert len(scores) == 0
        assert scores["value"].dtype == float
        assert pd.read_parquet(tmp_path / "predictions.parquet")["correct"].dtype == bool
