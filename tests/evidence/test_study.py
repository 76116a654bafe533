"""The tables, sentences and figures of a study, on cells whose figures are known."""

import csv
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from case_monitor.domain.scores import SampleScores
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.evidence.study import StudyCell, on_other_images, write_study
from case_monitor.evidence.study.figures import study_figures
from case_monitor.evidence.study.findings import seed_concordance, study_findings
from case_monitor.evidence.study.latex import latex
from case_monitor.evidence.study.tables import StudyTable, study_tables

METHODS = ("case", "gradcam", "layercam")
HOSTILE = "<script>alert(1)</script>"


def row(metric: str, method: str, value: float, **fields: Any) -> MetricSummary:
    return MetricSummary(**{"metric": metric, "method": method, "value": value, "n": 40} | fields)


def cell(
    *,
    model: str = "resnet",
    version: int = 1,
    seed: int | None = None,
    place: int = 0,
    images: str = "first",
    data: str = "digits",
    medians: tuple[float, float, float] = (0.1, 0.6, 0.5),
    p: tuple[float, float, float] = (1e-9, 0.9, 0.03),
    holm: tuple[float, float, float] = (3e-9, 0.9, 0.06),
    drops: tuple[float, float, float] = (0.2, 0.3, 0.1),
    status: Status = Status.PASS,
) -> StudyCell:
    """Three methods on four images."""
    rows = [row("accuracy", "", 0.95, n=700), row("agreement_mean", "random", 0.08)]
    rows += [
        row("pair_contrast", "", 0.9, ci_low=0.85, ci_high=0.94),
        row("position", "", 0.3, ci_low=0.2, ci_high=0.4),
    ]
    rows += [row("fidelity_dz", "gradcam", 1.2, ci_low=1, ci_high=1.4), row("shown_contrast", "gradcam", math.nan)]
    for i, method in enumerate(METHODS):
        rows.append(row("agreement_mean", method, medians[i]))
        rows.append(
            row("agreement_median", method, medians[i], p_value=p[i], p_adjusted=holm[i], ci_low=0.05, ci_high=0.7)
        )
        rows.append(row("agreement_degenerate_rate", method, 0.25))
        rows.append(row("confidence_drop_50", method, drops[i], sd=0.05))
        rows.append(row("confidence_drop_50_vs_random", method, 0.1, ci_low=0.05, ci_high=0.15))
        if method != "case":
            against = row("confidence_drop_50_vs_case", method, drops[i] - drops[0], p_value=0.01, p_adjusted=0.02)
            rows.append(against)
    agreement = {("case", "agreement"): np.array([0.1, 0.2, 0.3, np.nan])}
    agreement |= {(m, "agreement"): np.array([0.5, 0.7, 0.9, 0.6]) for m in METHODS[1:]}
    return StudyCell(
        model=model,
        title=model.capitalize(),
        data=data,
        version=version,
        seed=version if seed is None else seed,
        layer=f"layer{place}",
        place=place,
        images=images,
        labels="as they are",
        evaluation_id=1,
        methods=METHODS,
        gate_method="gradcam",
        figures={(r.metric, r.method): r for r in rows},
        active=np.array([5.0, 6.0, 9.0]),
        scores=SampleScores(
            sample_ids=("a", "b", "c", "d"),
            target=np.array([0, 1, 2, 2]),
            top2=np.array([1, 0, 0, 1]),
            confidence=np.full(4, 0.9),
            values=agreement,
        ),
        contrast={0: frozenset({1}), 1: frozenset({0}), 2: frozenset({1})},
        status=status,
        seconds=12.0,
        isolation="landlock",
        device="cpu",
        torch_version="2",
        package_version="0",
    )


def table(cells: list[StudyCell], key: str) -> StudyTable:
    return next(t for t in study_tables(cells) if t.key == key)


def entries(found: StudyTable) -> dict[str, list[tuple[str, bool]]]:
    return {name: [(e.text, e.strong) for e in row] for name, row in found.rows}


def test_table_one_has_the_papers_p_and_is_bold_below_5_percent() -> None:
    found = table([cell(), cell(model="vgg", p=(0.2, 1.0, math.nan))], "table-1-digits")
    assert found.heads == ("Resnet", "Vgg")
    assert entries(found) == {
        "CASE": [("< .0001", True), (".2000", False)],
        "Grad-CAM": [(".9000", False), ("1.", False)],
        "LayerCAM": [(".0300", True), ("insufficient", False)],
        "two random maps": [("8%", False)] * 2,
        "accuracy": [("95.0%", False)] * 2,
    }


def test_beside_it_stand_holms_p_the_interval_and_what_had_no_map() -> None:
    seeds = [cell(version=1), cell(version=2, holm=(0.2, 0.9, 0.04)), cell(version=3, holm=(math.nan, 0.9, 0.04))]
    details = {name: row[0].detail for name, row in table(seeds, "table-1-digits").rows}
    assert details["CASE"] == "Holm < .0001; median 10% (5% to 70%); n = 40, 25% without; 1 of 3 seeds"
    assert details["LayerCAM"].endswith("; 2 of 3 seeds")
    assert details["Grad-CAM"].endswith("; 0 of 3 seeds")


def test_table_two_is_of_the_other_layers_alone() -> None:
    cells = [cell(), cell(place=1, p=(0.5, 0.6, 0.7)), cell(model="vgg")]
    found = table(cells, "table-2-digits")
    assert found.heads == ("Resnet: layer1",)
    assert entries(found)["CASE"] == [(".5000", False)]
    assert table(cells, "table-1-digits").heads == ("Resnet", "Vgg")
    assert "table-2-digits" not in {t.key for t in study_tables([cell()])}


def test_table_three_is_bold_where_the_fall_is_largest() -> None:
    found = table([cell(), cell(model="vgg", drops=(0.4, math.nan, 0.1))], "table-3-50-digits")
    assert entries(found) == {
        "CASE": [("0.2000 (0.0500)", False), ("0.4000 (0.0500)", True)],
        "Grad-CAM": [("0.3000 (0.0500)", True), ("nan (0.0500)", False)],
        "LayerCAM": [("0.1000 (0.0500)", False), ("0.1000 (0.0500)", False)],
    }
    details = {name: row[0].detail for name, row in found.rows}
    assert details["CASE"] == "beyond random +0.100 (+0.050 to +0.150)"
    assert details["Grad-CAM"] == "p .0100, Holm .0200; beyond random +0.100 (+0.050 to +0.150)"


def test_what_the_gate_asks_is_beside_it() -> None:
    found = entries(table([cell(), cell(version=2, status=Status.FAIL)], "gate-digits"))
    assert found["maps know their class"] == [("0.90", False)]
    assert found["shown maps know it"] == [("–", False)]
    assert found["passes the gate"] == [("1 of 2", False)]
    few = table([cell(), cell(version=2, status=Status.INSUFFICIENT)], "gate-digits")
    assert dict(few.rows)["passes the gate"][0].detail == "1 without enough evidence"
    assert found["active channels"] == [("6.0", False)]


def test_agreement_in_and_outside_contrast_sets() -> None:
    """Image a: 0 and 1, in each other's sets. b: likewise. c: 2 and 0, in neither's. d: 1 is in 2's set alone."""
    found = table([cell()], "arithmetic-digits")
    texts = {name: (row[0].text, row[0].detail) for name, row in found.rows}
    assert texts["CASE"] == ("15 points lower", "15% (n = 2) and 30% (n = 1)")
    assert texts["Grad-CAM"] == ("30 points lower", "60% (n = 2) and 90% (n = 1)")


def test_diagnostics_that_were_switched_on_have_tables_of_their_own() -> None:
    plain = cell()
    assert not any(t.key.startswith(("deletion", "lowest")) for t in study_tables([plain]))
    more = [
        row("deletion_auc", "case", 0.25, ci_low=0.2, ci_high=0.3),
        row("deletion_auc", "random", 0.5, ci_low=0.4, ci_high=0.6),
        row("deletion_auc_vs_random", "case", -0.25, p_adjusted=0.0312),
        row("lowest_agreement", "gradcam", 0.125),
        row("lowest_agreement", "case", math.nan, n=0),
    ]
    found = replace(plain, figures={**plain.figures, **{(r.metric, r.method): r for r in more}})
    deletion = dict(table([found], "deletion-auc-digits").rows)
    assert deletion["CASE"][0].text == "0.2500"
    assert deletion["CASE"][0].detail == "0.2000 to 0.3000; n = 40; Holm .0312"
    assert deletion["random maps"][0].text == "0.5000"
    assert deletion["Grad-CAM"][0].text == "–"
    lowest = dict(table([found], "lowest-agreement-digits").rows)
    assert lowest["Grad-CAM"][0].detail == "no interval; n = 40"
    assert (lowest["CASE"][0].text, lowest["CASE"][0].detail) == ("–", "n = 0")
    assert "random maps" not in lowest


def test_sentences_count_cells() -> None:
    cells = [
        cell(),
        cell(version=2, holm=(0.2, 0.9, 0.04)),
        cell(place=1, holm=(0.001, 0.001, 0.9), status=Status.FAIL),
    ]
    said = [finding.here for finding in study_findings(cells)]
    assert (
        said[0]
        == "Rejected after Holm's correction, in models and seeds: CASE 1 of 2, Grad-CAM 0 of 2, LayerCAM 1 of 2."
    )
    assert said[1] == ("Resnet on digits: methods other than CASE reject in 1 of 4 at layer0, in 1 of 2 at layer1.")
    assert said[2] == "Kendall's W over seeds, 1 is the same order in each, 0 none: Resnet on digits 1.00 (2 seeds)."
    assert said[3] == (
        "Of 4 comparisons, after Holm's correction, 2 are higher than CASE's (Grad-CAM 2), and 2 lower (LayerCAM 2)."
    )
    assert said[4].endswith(
        "surely more often than chance in 2. Of 2 cells, 2 pass the policy, and for 0 there is not enough evidence."
    )


def test_the_order_over_seeds() -> None:
    same = [cell(version=v, medians=(0.1, 0.6, 0.5)) for v in (1, 2)]
    opposite = [cell(medians=(0.1, 0.6, 0.5)), cell(version=2, medians=(0.6, 0.1, 0.5))]
    assert seed_concordance(same) == 1
    assert seed_concordance(opposite) == pytest.approx(0.0)  # ranks 1, 3, 2 and 3, 1, 2: sums 4, 4, 4
    assert math.isnan(seed_concordance([cell(), cell(version=2, medians=(0.1, math.nan, 0.5))]))


def test_figures_of_one_seed_one_layer_and_of_several() -> None:
    assert [name for name, _, _ in study_figures([cell()])] == ["channels-digits", "agreement-digits"]
    cells = [cell(), cell(version=2), cell(place=1), cell(model="vgg")]
    assert [name for name, _, _ in study_figures(cells)] == [
        "seeds-digits",
        "layers-resnet",
        "channels-digits",
        "agreement-digits",
    ]


def test_a_cell_without_any_map_is_drawn_as_such() -> None:
    without = replace(cell(), active=np.full(3, np.nan))
    values = {key: np.full(4, np.nan) for key in without.scores.values}
    without = replace(without, scores=replace(without.scores, values=values))
    for _, _, figure in study_figures([without]):
        figure.canvas.draw()
    assert {e.text for _, row in table([without], "arithmetic-digits").rows for e in row} == {"–"}


def test_the_report_is_one_file_that_loads_nothing(tmp_path: Path) -> None:
    cells = [cell(model=HOSTILE, data=HOSTILE), cell(model=HOSTILE, data=HOSTILE, version=2)]
    files = write_study(HOSTILE, cells, [f"{HOSTILE} is missing"], {HOSTILE: b"png"}, tmp_path)
    page = files[0].read_text(encoding="utf-8")
    assert "<script" not in page
    assert page.count("&lt;script&gt;") > 8
    assert set(re.findall(r'(?:src|href)="([^"]{0,5})', page)) <= {"data:", "#find", "#tabl", "#figu", "#cell"}
    assert not re.search(r"https?://", page)
    assert all(file.is_relative_to(tmp_path) and file.stat().st_size for file in files)
    assert len(set(files)) == len(files)


def test_names_that_are_alike_as_files_stay_apart(tmp_path: Path) -> None:
    files = write_study("t", [cell(data="a/b"), cell(data="a:b")], [], {}, tmp_path)
    tables = sorted(file.name for file in files if file.name.startswith("table-1") and file.suffix == ".tex")
    assert tables == ["table-1-a_b-5.tex", "table-1-a_b.tex"]


def test_the_tables_as_files(tmp_path: Path) -> None:
    files = {file.name for file in write_study("t", [cell(), cell(place=1)], [], {}, tmp_path)}
    assert {
        "study.html",
        "table-1-digits.tex",
        "table-1-digits.csv",
        "figures.csv",
        "figures.parquet",
        "cells.csv",
    } <= files
    with (tmp_path / "tables" / "figures.csv").open() as opened:
        rows = list(csv.DictReader(opened))
    parquet = pq.read_table(tmp_path / "tables" / "figures.parquet").to_pylist()
    assert len(rows) == len(parquet) == 2 * len(cell().figures)
    one = next(r for r in parquet if (r["metric"], r["method"], r["layer"]) == ("agreement_median", "case", "layer1"))
    assert (one["value"], one["p_adjusted"], one["n"], one["version"]) == (0.1, 3e-9, 40, 1)


def test_latex_prints_names_as_they_are() -> None:
    text = latex(table([replace(cell(), title=r"50% \input{x} & _")], "table-1-digits"))
    assert r"50\% \textbackslash{}input\{x\} \& \_ \\" in text
    assert r"CASE & \textbf{$<$ .0001} \\" in text
    assert text.count("&") == 1 + len(table([cell()], "table-1-digits").rows) + 1  # columns, and the one in a name


def test_every_area_of_the_protocol_has_its_table_three() -> None:
    other = row("confidence_drop_5_blur", "case", 0.1, sd=0.2)
    cells = [replace(cell(), figures={**cell().figures, ("confidence_drop_5_blur", "case"): other})]
    keys = [t.key for t in study_tables(cells) if t.key.startswith("table-3")]
    assert keys == ["table-3-50-digits", "table-3-5_blur-digits"]
    blurred = table(cells, "table-3-5_blur-digits")
    assert "the top 5% of the pixels are blurred" in blurred.caption
    assert entries(blurred)["CASE"] == [("0.1000 (0.2000)", True)]


def test_classes_that_choose_their_contrast_image_by_image_prove_nothing_about_contrast_sets() -> None:
    without = [replace(cell(), contrast={0: frozenset({1})})]  # 1 and 2 have no validation image
    assert {e.text for _, row in table(without, "arithmetic-digits").rows for e in row} == {"–"}


def test_the_first_seed_is_the_one_that_was_named_first() -> None:
    """Versions 7 and 3 in that order; where the first one is missing, the next is not passed off for it."""
    named = [cell(version=3, seed=2, p=(0.2, 0.2, 0.2)), cell(version=7, seed=1)]
    assert entries(table(named, "table-1-digits"))["CASE"] == [("< .0001", True)]
    assert table(named[:1], "table-1-digits").heads == ("Resnet (seed 2)",)


def test_without_the_papers_layer_there_is_no_sentence_about_it() -> None:
    assert study_findings([cell(place=1)]) == ()
    assert [t.key for t in study_tables([cell(place=1)])] == ["table-2-digits"]


def test_what_was_reported_before_does_not_stay_beside(tmp_path: Path) -> None:
    write_study("t", [cell(), cell(place=1)], [], {}, tmp_path)
    write_study("t", [cell()], [], {}, tmp_path)
    assert not list(tmp_path.rglob("table-2-*"))
    assert list(tmp_path.rglob("table-1-*"))


def test_a_data_set_that_was_replaced_in_between_is_in_no_table_with_the_other() -> None:
    before, after = cell(images="first"), cell(version=2, images="second")
    other = cell(model="vgg", images="second")
    assert on_other_images([before, after, other]) == (before,)
    assert on_other_images([after, other, cell(data="shapes", model="net", images="third")]) == ()
    relabelled = replace(after, labels="others")
    assert on_other_images([relabelled, after]) == (relabelled,)
