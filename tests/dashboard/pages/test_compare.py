"""Two versions side by side: what was measured, what follows from the store, what cannot be compared."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine, delete, update

from case_monitor.dashboard.pages.compare.page import with_forest
from case_monitor.dashboard.pages.compare.read import comparison
from case_monitor.dashboard.pages.compare.record import CompareQuery, Comparison, Outcome
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import PAPER_THRESHOLDS, Policy, Threshold
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures.between_versions import Measured, comparison_summaries
from case_monitor.judging.verdict import judge
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.tables import EvaluationRow, PredictionsRow, SampleRow, SampleScoreRow
from case_monitor.store.write import save_evaluation
from tests.support.factories import a_gallery, an_evaluation

HOSTILE = "a \"quoted\" 'name' <script>alert(1)</script>/100%&?#" + "x" * 150
LENIENT = Policy(
    min_samples=10,
    thresholds=(
        Threshold(metric="accuracy", allowed_regression=0.9, greater_is_better=True),
        Threshold(metric="agreement_median", method="gate", allowed_regression=0.9, greater_is_better=False),
    ),
)


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(), engine)) as client:
        yield client


def read(engine: Engine, candidate: int | None = 2, baseline: int | None = 1, **chosen: Any) -> Comparison:
    asked = {"model": "digits", "candidate": candidate, "baseline": baseline} | chosen
    return comparison(engine, Settings(), CompareQuery(**asked))


def measured(evaluation: Evaluation) -> Measured:
    return Measured(preds=evaluation.preds, contrasts=evaluation.contrast_sets, scores=evaluation.scores)


def differences(candidate: Evaluation, baseline: Evaluation) -> dict[tuple[str, str, int | None], MetricSummary]:
    """The oracle: what an evaluation would have measured, from the records themselves."""
    protocol = candidate.provenance.protocol
    rows = comparison_summaries(measured(candidate), measured(baseline), {}, protocol, 0.95)
    return {(row.metric, row.method, row.class_idx): row for row in rows}


def test_without_a_stored_comparison_it_is_that_of_the_core(engine: Engine) -> None:
    first, second = (replace(an_evaluation(version=v, seed=v), policy=LENIENT) for v in (1, 2))
    ids = [save_evaluation(engine, evaluation) for evaluation in (first, second)]
    found, oracle = read(engine), differences(second, first)
    assert (found.measured, found.comparable) == (False, True)
    assert (found.baseline.evaluation_id, found.candidate.evaluation_id) == tuple(ids)
    assert len(found.differences) == 1 + 6 + 2 * 6 + 2
    for row in found.differences:
        expected = oracle[f"{row.metric}_vs_baseline", row.method, None]
        assert row.difference == pytest.approx(expected.value, nan_ok=False)
        assert (row.ci_low, row.ci_high, row.n) == (expected.ci_low, expected.ci_high, expected.n)
    agreement = next(r for r in found.differences if (r.metric, r.method) == ("agreement_median", "case"))
    own = [e.summary("agreement_median", "case") for e in (second, first)]
    assert (agreement.candidate, agreement.baseline) == (own[0] and own[0].value, own[1] and own[1].value)
    assert agreement.margin == 0.9
    recalls = {key[2]: row.value for key, row in oracle.items() if key[0] == "recall_vs_baseline"}
    changed = {c.class_idx: c.difference for c in (*found.better, *found.worse)}
    assert changed == {u: v for u, v in recalls.items() if v != 0}
    assert any("laid over each other" in reason for reason in found.missing)


def test_the_verdict_is_that_of_the_gate_on_these_figures(engine: Engine) -> None:
    first, second = (replace(an_evaluation(version=v, seed=v), policy=LENIENT) for v in (1, 2))
    for evaluation in (first, second):
        save_evaluation(engine, evaluation)
    own = [s for s in second.summaries if not s.metric.endswith("_vs_baseline")]
    rows = (*own, *differences(second, first).values())
    verdict, _ = judge(second.model, rows, LENIENT, baseline=first.model, class_names=second.class_names)
    found = read(engine)
    assert verdict.status is Status.PASS
    assert (found.verdict, found.sentence) == (verdict.status, verdict.sentence)
    assert [(r.status, r.reason) for r in found.rules] == [(r.status, r.reason) for r in verdict.results]
    assert with_forest(found).headline == "The gate would say: version 2 passes beside version 1."


def test_the_baseline_is_not_said_to_be_in_production(engine: Engine) -> None:
    strict = Policy(min_samples=1000, thresholds=PAPER_THRESHOLDS)
    for version in (1, 2):
        save_evaluation(engine, replace(an_evaluation(version=version, seed=version), policy=strict))
    sentence = read(engine).sentence
    assert sentence
    assert " Against digits/1 " in sentence
    assert "in production" not in sentence


def test_a_stored_comparison_is_shown_as_it_was_measured(engine: Engine, client: TestClient) -> None:
    first, second = an_evaluation(version=1), an_evaluation(version=2, seed=2, status=Status.PASS)
    rows = (
        MetricSummary(metric="accuracy_vs_baseline", method="", value=-0.2, n=80, ci_low=-0.3, ci_high=-0.1),
        MetricSummary(
            metric="agreement_median_vs_baseline", method="case", value=-0.1, n=60, ci_low=-0.2, ci_high=-0.05
        ),
        MetricSummary(metric="agreement_median_vs_baseline", method="gradcam", value=float("nan"), n=0),
        MetricSummary(metric="baseline_agreement", method="case", value=0.75, n=60, ci_low=0.7, ci_high=0.8),
        MetricSummary(metric="contrast_jaccard", method="", class_idx=0, value=1.0, n=1),
        MetricSummary(metric="contrast_jaccard", method="", class_idx=2, value=0.25, n=1),
        MetricSummary(metric="contrast_jaccard", method="", class_idx=3, value=0.5, n=1),
        MetricSummary(metric="recall_vs_baseline", method="", class_idx=2, value=-0.4, n=20, ci_low=-0.6, ci_high=-0.2),
        MetricSummary(metric="recall_vs_baseline", method="", class_idx=3, value=0.125, n=20, p_adjusted=0.03125),
    )
    second = replace(second, baseline=first.model, summaries=(*second.summaries[:-1], *rows))
    for evaluation in (first, second):
        save_evaluation(engine, evaluation)
    found = read(engine)
    assert (found.measured, found.missing, found.sentence) == (True, (), second.verdict.sentence)
    assert [(d.metric, d.difference, d.outcome) for d in found.differences] == [
        ("accuracy", -0.2, Outcome.WORSE),
        ("agreement_median", -0.1, Outcome.BETTER),
        ("agreement_median", None, Outcome.UNDEFINED),
    ]
    assert [(d.method, d.value) for d in found.drift] == [("case", 0.75)]
    assert [(c.class_idx, c.jaccard) for c in found.contrasts] == [(2, 0.25), (3, 0.5)]
    names = second.class_names
    assert found.contrasts[0].after == (names[3], names[0])
    assert [(c.name, c.difference) for c in found.worse] == [(names[2], -0.4)]
    assert [(c.name, c.p_adjusted) for c in found.better] == [(names[3], 0.03125)]
    text = client.get("/compare?model=digits&candidate=2&baseline=1").text
    assert "The gate said: version 2 passes beside version 1." in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_a_stored_comparison_with_another_version_is_not_taken_for_it(engine: Engine) -> None:
    evaluations = {v: an_evaluation(version=v, seed=v) for v in (1, 2, 3)}
    stray = MetricSummary(metric="baseline_agreement", method="case", value=0.75, n=60)
    third = replace(evaluations[3], baseline=evaluations[1].model, summaries=(*evaluations[3].summaries, stray))
    for evaluation in (evaluations[1], evaluations[2], third):
        save_evaluation(engine, evaluation)
    found = read(engine, 3, 2)
    assert not found.measured
    assert found.drift == ()
    assert found.differences[0].difference == differences(third, evaluations[2])["accuracy_vs_baseline", "", None].value


@pytest.mark.parametrize(
    ("changed", "said"), [("split", "on another validation split"), ("protocol", "under another protocol")]
)
def test_what_was_not_measured_alike_is_not_compared(
    engine: Engine, client: TestClient, changed: str, said: str
) -> None:
    first, second = an_evaluation(version=1), an_evaluation(version=2)
    if changed == "split":
        second = replace(second, split=replace(second.split, digest="6" * 64))
    else:
        second = replace(second, provenance=replace(second.provenance, protocol_digest="c" * 64))
    for evaluation in (first, second):
        save_evaluation(engine, evaluation)
    found = read(engine)
    assert not found.comparable
    assert (found.verdict, found.differences, found.better, found.worse) == (None, (), (), ())
    text = client.get("/compare?model=digits&candidate=2&baseline=1").text
    assert "These two cannot be compared" in text
    assert said in text


def test_an_older_evaluation_on_the_same_split_serves(engine: Engine) -> None:
    second = an_evaluation(version=2)
    shared = [save_evaluation(engine, an_evaluation(version=1)), save_evaluation(engine, second)]
    save_evaluation(engine, replace(second, split=replace(second.split, digest="6" * 64)))
    found = read(engine)
    assert found.comparable
    assert [found.baseline.evaluation_id, found.candidate.evaluation_id] == shared


def test_without_predictions_explanations_are_compared_all_the_same(engine: Engine) -> None:
    first, second = an_evaluation(version=1, seed=1), an_evaluation(version=2, seed=2)
    ids = [save_evaluation(engine, evaluation) for evaluation in (first, second)]
    with engine.begin() as connection:
        connection.execute(delete(PredictionsRow).where(PredictionsRow.evaluation_id == ids[0]))
    found = read(engine)
    assert "accuracy" not in {d.metric for d in found.differences}
    assert (found.better, found.worse) == ((), ())
    expected = differences(second, first)["agreement_median_vs_baseline", "case", None]
    assert found.differences[0].difference == expected.value
    assert "not stored of version 1: accuracy" in found.missing[0]
    assert found.verdict is Status.INSUFFICIENT


def test_without_scores_accuracy_is_compared_all_the_same(engine: Engine) -> None:
    ids = [save_evaluation(engine, an_evaluation(version=v, seed=v)) for v in (1, 2)]
    with engine.begin() as connection:
        for table in (SampleScoreRow, SampleRow):
            connection.execute(delete(table).where(table.evaluation_id == ids[1]))
    found = read(engine)
    assert [d.metric for d in found.differences] == ["accuracy"]
    assert "db prune" in found.missing[0]
    assert "of version 2" in found.missing[0]


def test_a_policy_of_another_package_gives_figures_and_no_verdict(engine: Engine) -> None:
    ids = [save_evaluation(engine, an_evaluation(version=v, seed=v)) for v in (1, 2)]
    with engine.begin() as connection:
        policy = {"gate_method": "case", "thresholds": [], "confidence_level": 0.95, "unheard_of": 1}
        connection.execute(update(EvaluationRow).where(EvaluationRow.id == ids[1]).values(policy=policy))
    found = read(engine)
    assert found.verdict is None
    assert found.differences
    assert "no verdict" in found.missing[0]


def test_versions_are_chosen_if_none_are_named(engine: Engine) -> None:
    for version in (1, 2, 3):
        save_evaluation(engine, replace(an_evaluation(version=version), in_production=version == 1))
    found = read(engine, None, None)
    assert (found.candidate.version, found.baseline.version) == (3, 1)
    assert found.versions == (3, 2, 1)
    assert read(engine, 1, None).baseline.version == 3


def test_a_single_version_is_beside_nothing(engine: Engine, client: TestClient) -> None:
    save_evaluation(engine, an_evaluation())
    text = client.get("/compare?model=digits").text
    assert "Both are version 1: choose another one." in text
    assert "one evaluated version" in text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"model": "nothing"}, 404),
        ({"model": "digits", "candidate": 7}, 404),
        ({"model": "digits", "baseline": 2**31}, 422),
        ({"model": "digits", "candidate": "x"}, 422),
        ({"model": "digits", "candidate": 2, "baseline": 1, "method": "nothing"}, 400),
        ({}, 422),
    ],
)
def test_what_cannot_be_asked_is_refused(
    engine: Engine, client: TestClient, query: dict[str, Any], status: int
) -> None:
    for version in (1, 2):
        save_evaluation(engine, an_evaluation(version=version))
    assert client.get("/compare", params=query).status_code == status


def test_images_of_both_galleries_are_side_by_side(engine: Engine, client: TestClient) -> None:
    first, second = an_evaluation(version=1, seed=1), an_evaluation(version=2, seed=2)
    ids = [save_evaluation(engine, e, gallery=a_gallery(e)) for e in (first, second)]
    found = read(engine, method="gradcam")
    shared = set(first.scores.sample_ids[:4]) & set(second.scores.sample_ids[:4])
    assert shared
    assert {pair.sample_id for pair in found.maps} == shared
    pair = found.maps[0]
    assert pair.candidate_position == second.scores.sample_ids.index(pair.sample_id)
    value = second.scores.values["gradcam", "agreement"][pair.candidate_position]
    assert pair.candidate_agreement == (None if np.isnan(value) else value)
    text = client.get("/compare?model=digits&candidate=2&baseline=1&method=gradcam").text
    for id_, place in ((ids[1], pair.candidate_position), (ids[0], pair.baseline_position)):
        assert f'src="/evaluation/{id_}/gallery/{place}/gradcam/1.png"' in text


def test_all_classes_are_a_page_of_their_own(engine: Engine, client: TestClient) -> None:
    names = tuple(f"class {i}" for i in range(130))
    for version in (1, 2):
        save_evaluation(engine, an_evaluation(version=version, seed=version, class_names=names, num_samples=260))
    found = read(engine, page=2)
    assert len(found.all_classes) == 30
    assert len(found.better) <= 20
    assert len(found.worse) <= 20
    text = client.get("/compare?model=digits&candidate=2&baseline=1&page=2").text
    assert "Page 2 of 2" in text
    assert 'candidate=2&amp;baseline=1&amp;page=1#all-classes"' in text


def test_hostile_names_are_escaped(engine: Engine, client: TestClient) -> None:
    for version in (1, 2):
        save_evaluation(engine, an_evaluation(name=HOSTILE, version=version))
    answer = client.get("/compare", params={"model": HOSTILE})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("&candidate=&baseline=", 200),
        ("&candidate=2", 200),
        ("&candidate=2147483648", 422),
        ("&baseline=x", 422),
    ],
)
def test_versions_in_the_address(client: TestClient, engine: Engine, query: str, status: int) -> None:
    for version in (1, 2):
        save_evaluation(engine, an_evaluation(version=version, seed=version))
    assert client.get(f"/compare?model=digits{query}").status_code == status
