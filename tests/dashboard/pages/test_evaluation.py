"""The page about one evaluation shows what is stored, and says what is not."""

import json
import re
from dataclasses import asdict, replace
from html import unescape
from html.parser import HTMLParser
from math import nan

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, delete

from case_monitor.dashboard.pages.evaluation.contrast_table import contrast_table
from case_monitor.dashboard.pages.evaluation.page import EvaluationPage, ScoresState, evaluation_page
from case_monitor.dashboard.shell.rendering import number, percent
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy, Rule, Severity
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.distributions import histogram
from case_monitor.judging.figures.of_one_version import explanation_summaries
from case_monitor.judging.unasked import unasked_alert
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.connection import writing
from case_monitor.store.tables import SampleRow
from case_monitor.store.write import save_evaluation
from tests.support.factories import METHODS, an_evaluation

BASELINE = ModelVersion(name="digits", version=1, run_id=None, digest="1" * 64)
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def client(engine: Engine) -> TestClient:
    return TestClient(create_app(Settings(), engine))


class _Cells(HTMLParser):
    """The text of every cell of every table, row by row."""

    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in {"td", "th"}

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self.tables[-1][-1][-1] += data


def tables(text: str) -> list[list[list[str]]]:
    parser = _Cells()
    parser.feed(text)
    return [[[" ".join(cell.split()) for cell in row] for row in table] for table in parser.tables]


AS_STORED = {"gradcam": 0.1, "case": 0.6, "gradcam++": -0.9}
FIGURES_OF_MARGINS = (("pair_contrast", ""), ("shown_contrast", "case"), ("fidelity_dz", "case"))


def shown(engine: Engine, evaluation: Evaluation) -> EvaluationPage:
    return evaluation_page(engine, Settings(), save_evaluation(engine, evaluation))


def figure(evaluation: Evaluation, metric: str, method: str = "") -> MetricSummary:
    found = evaluation.summary(metric, method)
    assert found is not None
    return found


def measured() -> Evaluation:
    """With the figures of its scores, so that both count the same images."""
    evaluation = an_evaluation()
    return replace(evaluation, summaries=explanation_summaries(evaluation.scores, Protocol(), Policy()))


def nothing_explained() -> Evaluation:
    evaluation = an_evaluation(status=Status.INSUFFICIENT)
    methods = ("case", "gradcam")
    none, places = np.empty(0), np.empty(0, dtype=np.int64)
    keys = [(m, f"{kind}_drop_{area}") for m in methods for kind in ("confidence", "random") for area in ("50", "5")]
    keys += [(method, "agreement") for method in (*methods, "random")]
    scores = SampleScores(sample_ids=(), target=places, top2=places, confidence=none, values=dict.fromkeys(keys, none))
    return replace(
        evaluation,
        scores=scores,
        summaries=explanation_summaries(scores, Protocol(methods=methods), Policy()),
        class_metrics=tuple(replace(row, active_channels=nan) for row in evaluation.class_metrics),
    )


def test_the_tables_of_the_methods_have_the_stored_figures(engine: Engine, client: TestClient) -> None:
    evaluation = an_evaluation()
    text = client.get(f"/evaluation/{save_evaluation(engine, evaluation)}").text
    found = tables(text)
    sensitivity = {row[0]: row for row in next(t for t in found if "Wilcoxon" in " ".join(t[0]))}
    fidelity = {row[0]: row for row in next(t for t in found if "Random pixels" in " ".join(t[1]))}
    for title, method in (("CASE gate", "case"), ("Grad-CAM++", "gradcam++"), ("Score-CAM", "scorecam")):
        median, mean = figure(evaluation, "agreement_median", method), figure(evaluation, "agreement_mean", method)
        rate = figure(evaluation, "agreement_degenerate_rate", method)
        assert sensitivity[title][1:] == [
            f"{number(median.value)} [{number(median.ci_low)}, {number(median.ci_high)}]",
            f"{number(mean.value)} ± 0.100",
            "0.01",
            "0.06",
            str(median.n),
            percent(rate.value),
        ]
        drop, beyond = (figure(evaluation, f"confidence_drop_50{end}", method) for end in ("", "_vs_random"))
        interval = f"[{number(drop.ci_low)}, {number(drop.ci_high)}]"
        assert fidelity[title][1] == f"{number(drop.value)} ± 0.100 {interval} n = {drop.n}"
        assert fidelity[title][2] == number(drop.value - beyond.value)
    assert sensitivity["Two random maps"][2] == "0.060"


def test_whether_the_maps_know_their_class_is_in_a_table_of_its_own(engine: Engine, client: TestClient) -> None:
    evaluation = measured()
    text = client.get(f"/evaluation/{save_evaluation(engine, evaluation)}").text
    head, *rows = next(t for t in tables(text) if "The maps …" in t[0])
    assert [row[0] for row in rows] == ["One class against the other", *["CASE, of centred logits"] * 2]
    for row, metric, method in zip(rows, *zip(*FIGURES_OF_MARGINS, strict=True), strict=True):
        found = figure(evaluation, metric, method)
        assert row[4] == str(found.n)
        if metric == "fidelity_dz":
            assert row[2] == f"{number(found.value)} [{number(found.ci_low)}, {number(found.ci_high)}]"
            assert row[3] == number(found.value)
        else:
            assert row[2] == f"{percent(found.value)} {percent(found.ci_low)} to {percent(found.ci_high)}"
            assert row[3] == number(found.effect_size)
            assert row[5] == f"2: {found.undefined_because}"
    assert len(head) == 6


def test_of_an_older_package_the_gates_method_alone_is_in_it() -> None:
    """It stored fidelity of every method, in any order."""
    of = {method: MetricSummary(metric="fidelity_dz", method=method, value=v, n=9) for method, v in AS_STORED.items()}
    [row] = contrast_table(of.values(), "case")
    assert (row.maps, row.value, row.d_z) == ("CASE, of centred logits", 0.6, 0.6)
    assert contrast_table([of["gradcam++"]], "case") == ()


def test_what_was_stored_without_has_no_such_table(engine: Engine, client: TestClient) -> None:
    text = client.get(f"/evaluation/{save_evaluation(engine, an_evaluation())}").text
    assert "know which class they explain?" not in text


def test_what_other_rules_would_have_said_is_said(engine: Engine, client: TestClient) -> None:
    text = client.get(f"/evaluation/{save_evaluation(engine, measured())}").text
    assert "The rules `contrast` would have said of these figures: insufficient (" in unescape(text)
    stored = save_evaluation(engine, replace(measured(), model=replace(measured().model, version=2), policy=Policy()))
    text = unescape(client.get(f"/evaluation/{stored}").text)
    assert "The rules `paper` would have said of these figures: " in text
    assert "The rules `contrast` would have said" not in text


def test_bold_is_the_lowest_agreement_and_the_highest_drop(engine: Engine) -> None:
    evaluation = an_evaluation()
    table = shown(engine, evaluation).methods
    medians = {method: figure(evaluation, "agreement_median", method).value for method in METHODS}
    drops = {method: figure(evaluation, "confidence_drop_5", method).value for method in METHODS}
    assert [row.method for row in table.sensitivity if row.best] == [min(medians, key=lambda m: medians[m])]
    assert table.areas == ("top 50% of the pixels", "top 5% of the pixels")
    assert [row.method for row in table.fidelity if row.cells[1].best] == [max(drops, key=lambda m: drops[m])]
    assert [row.method for row in table.sensitivity if row.is_gate] == ["case"]


def test_the_histograms_are_those_of_the_scores(engine: Engine) -> None:
    evaluation = measured()
    page = shown(engine, evaluation)
    assert page.scores is ScoresState.KEPT
    assert page.explained == len(evaluation.scores.sample_ids)
    for place, method in enumerate(METHODS):
        values = evaluation.scores.values[method, "agreement"]
        expected = histogram(values).tolist()
        assert page.agreement.panels[place].figure["data"][0]["y"] == pytest.approx(expected)
        assert [row.shares[place] for row in page.agreement.bins] == pytest.approx(expected)
        defined = values[np.isfinite(values)]
        assert f"{np.sum(defined >= 0.5)} of {len(defined)} images" in page.agreement.panels[place].summary
    chance = evaluation.scores.values["random", "agreement"]
    assert [row.chance for row in page.agreement.bins] == pytest.approx(histogram(chance).tolist())
    assert page.agreement.panels[0].figure["layout"]["shapes"][1]["x0"] == pytest.approx(chance.mean())


def test_fidelity_is_drawn_beside_its_control(engine: Engine) -> None:
    evaluation = an_evaluation()
    [first, _] = shown(engine, evaluation).fidelity
    control, case, *_ = first.figure["data"]
    drop, beyond = (figure(evaluation, f"confidence_drop_50{end}", "case") for end in ("", "_vs_random"))
    assert case["x"] == [pytest.approx(drop.value)]
    assert case["error_x"]["array"] == [pytest.approx(0.05)]
    assert control["x"][0] == pytest.approx(drop.value - beyond.value)
    beat = sum(figure(evaluation, "confidence_drop_50_vs_random", m).ci_low > 0 for m in METHODS)
    assert f"{beat} of 6 methods" in first.summary


def test_channel_activity_has_a_stroke_per_class(engine: Engine) -> None:
    evaluation = an_evaluation()
    first, *others = evaluation.class_metrics
    undefined = (replace(first, active_channels=nan), *others)
    chart = shown(engine, replace(evaluation, class_metrics=undefined)).activity
    assert chart is not None
    rug = chart.figure["data"][-1]
    assert rug["x"] == [13.5, 14.5, 15.5]
    assert rug["text"] == ["dog", "&lt;script&gt;alert(1)&lt;/script&gt;", "quo&quot;te"]
    assert "median class activates 14.5 channels (range 13.5 to 15.5)" in chart.summary
    assert "Left out for want of a correctly classified image: 1 of them." in chart.summary


def test_a_rule_with_its_evidence(engine: Engine, client: TestClient) -> None:
    text = client.get(f"/evaluation/{save_evaluation(engine, an_evaluation())}").text
    [row] = tables(text)[0][1:]
    assert row[0] == "CASE: median agreement below 0.5"
    assert row[1] == "✕ fail"
    assert row[3] == "0.900 [0.880, 0.930]"
    assert 'aria-label="from 0.880 to 0.930, limit 0.500"' in text


def test_rules_per_class_are_counted_and_the_surest_failures_named(engine: Engine) -> None:
    names = tuple(f"class {i}" for i in range(30))
    evaluation = an_evaluation(class_names=names, num_samples=120, version=2, baseline=BASELINE)
    rule = Rule(metric="recall_vs_baseline", limit=-0.1, greater_is_better=True, per_class=True, severity=Severity.WARN)
    [model] = evaluation.verdict.results
    of_classes = tuple(
        replace(
            model,
            threshold=rule,
            method=None,
            class_idx=i,
            status=Status.FAIL if i >= 15 else Status.INSUFFICIENT if i >= 10 else Status.PASS,
            p_adjusted=1 / (i + 1),
        )
        for i in range(30)
    )
    page = shown(engine, replace(evaluation, verdict=replace(evaluation.verdict, results=(model, *of_classes))))
    assert len(page.rules) == 1
    [found] = page.class_rules
    assert found.rule == "Recall of every class at most 0.1 below version 1's"
    assert found.counts == {Status.PASS: 10, Status.FAIL: 15, Status.INSUFFICIENT: 5}
    assert [failing.class_name for failing in found.failing] == [f"class {i}" for i in range(29, 19, -1)]
    assert found.more_failing == 5


def test_nothing_explained_is_said(engine: Engine, client: TestClient) -> None:
    evaluation_id = save_evaluation(engine, nothing_explained())
    page = evaluation_page(engine, Settings(), evaluation_id)
    assert (page.scores, page.explained, page.fidelity, page.activity) == (ScoresState.NOTHING_EXPLAINED, 0, (), None)
    text = client.get(f"/evaluation/{evaluation_id}").text
    assert "No image was explained" in text
    assert "No channel activity was measured" in text
    assert "nan" not in re.sub("<[^>]*>", " ", text).lower().split()


def test_what_the_page_shows_is_strict_json(engine: Engine) -> None:
    with_nan = replace(an_evaluation(version=2), alerts=(unasked_alert(an_evaluation().model),))
    for evaluation in (an_evaluation(), nothing_explained(), with_nan):
        json.dumps(asdict(shown(engine, evaluation)), allow_nan=False, default=str)


def test_pruned_scores_are_said_and_the_figures_stay(engine: Engine, client: TestClient) -> None:
    evaluation = measured()
    evaluation_id = save_evaluation(engine, evaluation)
    with writing(engine) as connection:
        connection.execute(delete(SampleRow))
    text = client.get(f"/evaluation/{evaluation_id}").text
    assert "The scores of the single images were deleted" in text
    assert number(figure(evaluation, "agreement_median", "case").value) in text
    assert evaluation_page(engine, Settings(), evaluation_id).explained == len(evaluation.scores.sample_ids)


def test_an_evaluation_with_only_degenerate_maps(engine: Engine) -> None:
    evaluation = an_evaluation()
    values = {key: np.full_like(v, nan) for key, v in evaluation.scores.values.items()}
    scores = replace(evaluation.scores, values=values)
    summaries = explanation_summaries(scores, Protocol(), Policy())
    page = shown(engine, replace(evaluation, scores=scores, summaries=summaries))
    assert page.scores is ScoresState.KEPT
    assert page.agreement.panels[0].summary == "CASE (gate): no image has two usable maps."
    assert page.agreement.bins[0].shares == (None,) * 6
    assert not any(row.best for row in page.methods.sensitivity)


def test_hostile_names_are_text(engine: Engine, client: TestClient) -> None:
    evaluation = an_evaluation(name=HOSTILE, version=2, baseline=BASELINE)
    [alert] = evaluation.alerts
    alerts = (replace(alert, message=f"{HOSTILE} & co", advice=HOSTILE),)
    provenance = replace(evaluation.provenance, target_layer=HOSTILE, device=HOSTILE)
    text = client.get(
        f"/evaluation/{save_evaluation(engine, replace(evaluation, alerts=alerts, provenance=provenance))}"
    ).text
    assert HOSTILE not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; co" in text


def test_alerts_are_cut_blocking_ones_first(engine: Engine) -> None:
    evaluation = an_evaluation()
    [alert] = evaluation.alerts
    warnings = tuple(
        replace(alert, rule="recall", method=None, class_idx=i, severity=Severity.WARN, message=f"class {i}")
        for i in range(4)
    )
    many = tuple(replace(alert, rule=f"rule {i}", severity=Severity.WARN) for i in range(20))
    page = shown(engine, replace(evaluation, alerts=(*many, *warnings, alert)))
    assert page.alerts[0].message == alert.message
    assert page.alerts[0].severity is Severity.BLOCK
    assert (len(page.alerts), page.more_alerts) == (20, 5)


def test_downloads_are_there(engine: Engine, client: TestClient) -> None:
    page = shown(engine, an_evaluation())
    assert len(page.downloads) == 3
    for file in page.downloads:
        assert client.get(file.csv).status_code == client.get(file.parquet).status_code == 200


def test_provenance(engine: Engine) -> None:
    evaluation = an_evaluation()
    found = shown(engine, evaluation).provenance
    assert found.digests == {
        "model": evaluation.model.digest,
        "split": "5" * 64,
        "protocol": "a" * 64,
        "policy": "b" * 64,
    }
    assert (found.target_layer, found.device, found.seed, found.torch_version) == ("features", "cpu", 0, "2.15.0")
    assert '"gate_method": "case"' in found.policy
    assert '"sample_size": 500' in found.protocol
