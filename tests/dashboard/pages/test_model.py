"""A model's page: figures through the versions, what was decided, alerts."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from case_monitor.alerts.life import Scope
from case_monitor.dashboard.pages.model.page import with_charts
from case_monitor.dashboard.pages.model.read import model
from case_monitor.dashboard.pages.model.record import By, Model, ModelQuery
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import Policy, Threshold
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.write import mark_promotion_applied, record_promotion, save_evaluation
from tests.support.alerting import night
from tests.support.factories import METHODS, an_evaluation

HOSTILE = "a \"quoted\" 'name' <script>alert(1)</script>/100%&?#" + "x" * 150


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(), engine)) as client:
        yield client


def read(engine: Engine, **chosen: Any) -> Model:
    return model(engine, Settings(), ModelQuery(**{"name": "digits"} | chosen))


def decide(engine: Engine, evaluation_id: int, evaluation: Evaluation, decision: Decision, *, apply: bool) -> None:
    promotion = Promotion(
        model_name=evaluation.model.name,
        alias="champion",
        version=evaluation.model.version,
        previous_version=None,
        decision=decision,
        evaluation_id=evaluation_id,
        reason="<b>because</b>",
    )
    entry = record_promotion(engine, promotion)
    if apply:
        mark_promotion_applied(engine, entry)


def value(evaluation: Evaluation, metric: str, method: str = "") -> float:
    row = evaluation.summary(metric, method)
    assert row
    return row.value


def at_night(version: int, number: int) -> Evaluation:
    """The version in production, on new data."""
    found = an_evaluation(version=version, seed=100 + number)
    return replace(found, split=replace(found.split, digest=f"{number:064d}"), in_production=True)


def figures(text: str) -> dict[str, Any]:
    """Id -> figure, as the page carries them."""
    pattern = r'<figure class="chart[^"]*" id="([^"]+)".*?<script type="application/json">(.*?)</script>'
    return {id_: json.loads(body) for id_, body in re.findall(pattern, text, re.DOTALL)}


def test_an_unknown_model_is_not_found(client: TestClient) -> None:
    assert client.get("/model", params={"name": "nothing"}).status_code == 404
    assert client.get("/model", params={"name": "\ud800\x00".encode("utf-8", "surrogatepass")}).status_code == 404


@pytest.mark.parametrize("query", ["", "?name=digits&by=colour", "?name=digits&page=0", "?name=digits&area=7"])
def test_what_cannot_be_asked_is_refused(client: TestClient, engine: Engine, query: str) -> None:
    save_evaluation(engine, an_evaluation())
    assert client.get(f"/model{query}").status_code in {400, 422}


def test_figures_are_those_stored_of_each_version(engine: Engine) -> None:
    first, second = an_evaluation(version=9, seed=1), an_evaluation(version=10, seed=2, status=Status.PASS)
    ids = [save_evaluation(engine, evaluation) for evaluation in (second, first)]
    found = read(engine)
    assert [(p.version, p.evaluation_id, p.verdict) for p in found.points] == [
        (9, ids[1], Status.FAIL),
        (10, ids[0], Status.PASS),
    ]
    for metric in ("agreement_median", "agreement_degenerate_rate", "confidence_drop_5"):
        for method in METHODS:
            series = found.one(metric, method)
            assert series
            assert series.value == (value(first, metric, method), value(second, metric, method))
    accuracy = found.one("accuracy", "")
    assert accuracy
    assert (accuracy.value, accuracy.ci_low, accuracy.ci_high) == ((0.9, 0.9), (0.82, 0.82), (0.95, 0.95))
    assert [row.version for row in found.rows] == [10, 9]
    assert found.newest == found.rows[0]
    assert found.newest.agreement == value(second, "agreement_median", "case")
    assert found.newest.pair_contrast is None, "it was not measured"
    assert found.newest.drop == value(second, "confidence_drop_5", "case")
    assert found.newest.degenerate == value(second, "agreement_degenerate_rate", "case")
    assert (found.sentence, found.versions) == (second.verdict.sentence, 2)


def test_whether_maps_know_their_class_is_told_with_the_limit_that_is_to_be_cleared(
    engine: Engine, client: TestClient
) -> None:
    for version, share in ((1, 0.95), (2, 0.5), (3, 0.85)):
        rows = an_evaluation().summaries
        known = MetricSummary(metric="pair_contrast", method="", value=share, n=30, ci_low=share, ci_high=share)
        save_evaluation(engine, replace(an_evaluation(version=version), summaries=(*rows, known), policy=Policy()))
    found = read(engine)
    assert [row.pair_contrast for row in found.rows] == [0.85, 0.5, 0.95]
    [chart] = [chart for chart in with_charts(found, "").charts if chart.id == "knows"]
    assert "In 85.0% of the images of version 3 (interval 85.0% to 85.0%), hiding" in chart.finding
    assert chart.finding.endswith("higher is better. 2 of 3 versions shown are at or below the limit, 85%.")
    assert figures(client.get("/model?name=digits").text)["chart-knows"]["layout"]["shapes"][0]["y0"] == 0.85


def test_along_the_time_every_evaluation_shows_and_along_versions_the_last(engine: Engine) -> None:
    save_evaluation(engine, an_evaluation())
    nights = [save_evaluation(engine, at_night(1, number)) for number in (1, 2)]
    along_time, along_versions = read(engine, by=By.TIME), read(engine)
    assert [p.in_production for p in along_time.points] == [False, True, True]
    assert [p.evaluation_id for p in along_versions.points] == nights[1:]


def test_along_the_time_the_line_is_of_the_version_in_production(engine: Engine) -> None:
    candidate = save_evaluation(engine, an_evaluation(version=2))
    nights = [save_evaluation(engine, at_night(1, number)) for number in (1, 2)]
    page = with_charts(read(engine, by=By.TIME), "")
    [agreement] = [c.figure for c in page.charts if c.id == "agreement"]
    assert agreement
    traces = {trace["name"]: [data[-1] for data in trace["customdata"]] for trace in agreement["data"][-2:]}
    assert traces == {
        "CASE": [f"/evaluation/{night}" for night in nights],
        "CASE, candidates": [f"/evaluation/{candidate}"],
    }


def test_the_drop_is_that_of_the_gate_unless_asked_otherwise(engine: Engine, client: TestClient) -> None:
    evaluation = an_evaluation()
    save_evaluation(engine, evaluation)
    assert read(engine).area == "5"
    assert read(engine, area="50").newest.drop == value(evaluation, "confidence_drop_50", "case")
    assert "replacing the top 50% of the pixels" in client.get("/model?name=digits&area=50").text


def test_the_drop_is_at_the_pixels_that_the_default_rules_take_away(engine: Engine) -> None:
    save_evaluation(engine, replace(an_evaluation(), policy=Policy()))
    assert read(engine).area == "5"


def test_limits_are_those_of_the_policy(engine: Engine) -> None:
    rules = (
        Threshold(metric="agreement_median", method="gate", limit=0.4, greater_is_better=False),
        Threshold(metric="agreement_degenerate_rate", method="gradcam", limit=0.1, greater_is_better=False),
        Threshold(metric="recall", per_class=True, limit=0.5, greater_is_better=True),
        Threshold(metric="accuracy", allowed_regression=0.1, greater_is_better=True),
        Threshold(metric="contrast_jaccard", limit=float("-inf"), greater_is_better=True),
    )
    save_evaluation(engine, replace(an_evaluation(), policy=Policy(thresholds=rules)))
    assert read(engine).limits == {"agreement_median": 0.4}


def test_charts_emphasise_the_gates_method_and_lead_to_evaluations(client: TestClient, engine: Engine) -> None:
    ids = [save_evaluation(engine, an_evaluation(version=version, seed=version)) for version in (1, 2)]
    drawn = figures(client.get("/model?name=digits").text)
    assert set(drawn) == {"chart-accuracy", "chart-agreement", "chart-drop", "chart-degenerate"}
    agreement = {trace["name"]: trace for trace in drawn["chart-agreement"]["data"]}
    assert agreement["CASE"]["line"]["width"] > agreement["Grad-CAM"]["line"]["width"]
    assert agreement["CASE"]["customdata"][1][0] == "fail"
    for trace in (agreement["CASE"], agreement["Grad-CAM"]):
        assert [[data].pop()[-1] if isinstance(data, list) else data for data in trace["customdata"]] == [
            f"/evaluation/{id_}" for id_ in ids
        ]
    stored = an_evaluation(version=2, seed=2).summary("agreement_median", "gradcam")
    assert stored
    assert agreement["Grad-CAM"]["y"][1] == pytest.approx(stored.value, rel=1e-4)
    band = agreement["95% interval"]
    low, high = (an_evaluation(seed=1).summary("agreement_median", "case"), "ci_low"), "ci_high"
    assert low[0]
    assert band["y"][0] == pytest.approx(getattr(low[0], high), rel=1e-4)
    assert band["y"][-1] == pytest.approx(low[0].ci_low, rel=1e-4)
    assert drawn["chart-agreement"]["layout"]["shapes"][0]["y0"] == 0.5


def test_the_band_has_a_gap_where_a_figure_is_undefined_and_a_bar_where_it_stands_alone(engine: Engine) -> None:
    for version in (1, 2, 3, 4):
        evaluation = an_evaluation(version=version)
        if version == 2:
            broken = MetricSummary(metric="accuracy", method="", value=float("nan"), n=0)
            evaluation = replace(evaluation, summaries=(broken, *evaluation.summaries[1:]))
        save_evaluation(engine, evaluation)
    found = read(engine)
    accuracy = found.one("accuracy", "")
    assert accuracy
    assert accuracy.value == (0.9, None, 0.9, 0.9)
    [chart] = [c for c in with_charts(found, "").charts if c.id == "accuracy"]
    assert chart.figure
    band, line = chart.figure["data"]
    assert band["x"] == [3, 4, 4, 3]
    assert line["error_y"]["array"] == [0.05, None, None, None]
    assert line["error_y"]["arrayminus"] == [0.08, None, None, None]


def test_decisions_are_marked_and_their_reasons_escaped_for_plotly(client: TestClient, engine: Engine) -> None:
    for version, decision in ((1, Decision.PROMOTED), (2, Decision.WITHHELD), (3, Decision.PROMOTED)):
        evaluation = an_evaluation(version=version)
        decide(engine, save_evaluation(engine, evaluation), evaluation, decision, apply=version == 1)
    traces = {
        trace["name"]: trace for trace in figures(client.get("/model?name=digits").text)["chart-accuracy"]["data"]
    }
    assert traces["promoted"]["x"] == [1, 3]
    assert traces["withheld"]["x"] == [2]
    assert "<b>" not in json.dumps(traces)
    assert traces["withheld"]["customdata"][0][0] == "version 2 withheld<br>&lt;b&gt;because&lt;/b&gt;"
    assert "not moved yet" in traces["promoted"]["customdata"][1][0]
    found = read(engine)
    assert [row.decision for row in found.rows] == [Decision.PROMOTED, Decision.WITHHELD, Decision.PROMOTED]
    assert found.champion == 1


def test_alerts_are_shown_with_advice_and_those_resolved_as_well(client: TestClient, engine: Engine) -> None:
    save_evaluation(engine, an_evaluation(), night(1, Scope.CANDIDATE))
    text = client.get("/model?name=digits").text
    assert "CASE maps look the same for the first and the second class." in text
    assert "Look at the gallery." in text
    save_evaluation(engine, an_evaluation(version=2, status=Status.PASS), night(2, Scope.CANDIDATE))
    found = read(engine)
    assert (len(found.alerts), len(found.resolved)) == (0, 1)
    assert found.resolved[0].resolution
    assert "Resolved lately (1)" in client.get("/model?name=digits").text


def test_a_single_version_has_no_comparison_to_offer(client: TestClient, engine: Engine) -> None:
    save_evaluation(engine, an_evaluation())
    text = client.get("/model?name=digits").text
    assert "Compare two versions" not in text
    assert "were not compared with those of another version" in text
    assert "Nothing to draw" in text


def test_hostile_names_are_escaped(client: TestClient, engine: Engine) -> None:
    save_evaluation(engine, an_evaluation(name=HOSTILE))
    save_evaluation(engine, an_evaluation(name=HOSTILE, version=2))
    answer = client.get("/model", params={"name": HOSTILE})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    assert "a &#34;quoted&#34; &#39;name&#39; &lt;script&gt;" in answer.text


def test_hundreds_of_versions_are_paged_and_the_last_are_drawn(client: TestClient, engine: Engine) -> None:
    from case_monitor.dashboard.pages.model import read as model_quality

    for version in range(1, 31):
        save_evaluation(engine, an_evaluation(version=version, num_samples=8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_quality, "MOST", 10)
        found = read(engine, page=2)
        text = client.get("/model?name=digits&page=2").text
    assert [p.version for p in found.points] == list(range(21, 31))
    assert found.left_out == 20
    assert [row.version for row in found.rows] == [5, 4, 3, 2, 1]
    assert found.rows[0].agreement is not None
    assert "Page 2 of 2" in text
    assert "20 older" in text
