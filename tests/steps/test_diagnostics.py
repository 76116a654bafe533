"""Diagnostics in a whole evaluation: switched on by name, with intervals and a control, and judged by rules."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.testing import assert_array_equal
from sqlalchemy import Engine

from case_monitor.domain.diagnostics import DIAGNOSTICS, RANDOM_MAP, scores_of
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import Policy, Threshold
from case_monitor.domain.policy_check import check_policy
from case_monitor.domain.protocol import Protocol
from case_monitor.judging.figures.row import MIN_FOR_INTERVAL
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.connection import connect
from case_monitor.store.migrate import upgrade
from case_monitor.store.read.scores import load_scores
from case_monitor.store.write import save_evaluation
from tests.steps.test_trial import PROTOCOL, loaded, trained
from tests.support.sources import a_split, blobs
from tests.support.trial import evaluate

RATES = {"increase_in_confidence", "pointing_game"}
ASKED = replace(PROTOCOL, methods=("case", "gradcam"), diagnostics=DIAGNOSTICS)
POLICY = Policy(
    min_samples=10,
    thresholds=(
        Threshold(metric="deletion_auc", method="gate", limit=0.999, greater_is_better=False),
        Threshold(metric="infidelity_vs_random", method="gradcam", limit=-0.9, greater_is_better=False),
    ),
)


def evaluated(protocol: Protocol, policy: Policy = POLICY) -> Evaluation:
    model = loaded(1, trained(4, seed=0), a_split(4, 64), blobs(64, (0, 1, 2, 3)))
    return evaluate(model, None, policy=policy, protocol=protocol).evaluation


@pytest.fixture(scope="module")
def evaluation() -> Evaluation:
    return evaluated(ASKED)


def test_every_score_has_its_mean_with_an_interval_and_its_control(evaluation: Evaluation) -> None:
    for score in scores_of(DIAGNOSTICS):
        for method in (*ASKED.methods, *([RANDOM_MAP] if score.with_random else [])):
            values = evaluation.scores.values[method, score.name]
            row = evaluation.summary(score.name, method)
            assert row is not None
            defined = values[np.isfinite(values)]
            assert (row.n, row.n_undefined) == (len(defined), len(values) - len(defined))
            if row.n:
                assert row.value == pytest.approx(defined.mean())
                assert row.n < MIN_FOR_INTERVAL or row.ci_low <= row.value <= row.ci_high
        for method in ASKED.methods:
            beyond = evaluation.summary(f"{score.name}_vs_random", method)
            assert (beyond is not None) == (score.with_random and score.name not in RATES)
            if beyond is not None:
                both = (evaluation.scores.values[of, score.name] for of in (method, RANDOM_MAP))
                assert beyond.value == pytest.approx(np.nanmean(np.subtract(*both)))
                assert beyond.test == f"paired-t {'greater' if score.greater_is_better else 'less'}"
                assert np.isnan(beyond.p_value) or beyond.p_value <= beyond.p_adjusted <= 1  # none where all are equal


def test_other_figures_are_what_they_are_without(evaluation: Evaluation) -> None:
    without = evaluated(replace(ASKED, diagnostics=()), Policy(min_samples=10))
    for key, values in without.scores.values.items():
        assert_array_equal(values, evaluation.scores.values[key], err_msg=str(key))
    assert_array_equal(without.scores.broken_passes, evaluation.scores.broken_passes)


def test_no_number_depends_on_the_batch(evaluation: Evaluation) -> None:
    other = evaluated(replace(ASKED, batch_size=7))
    assert ASKED.batch_size != 7
    for key, values in evaluation.scores.values.items():
        np.testing.assert_allclose(other.scores.values[key], values, atol=2e-5, err_msg=str(key))


def test_rules_are_about_them(evaluation: Evaluation) -> None:
    deletion, infidelity = evaluation.verdict.results[:2]
    assert deletion.status == "pass"
    assert infidelity.status == "fail"
    row = evaluation.summary("deletion_auc", "case")
    assert row is not None
    assert deletion.n == row.n
    assert "infidelity vs random" in evaluation.verdict.sentence


def test_a_rule_on_what_is_not_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"policy\.thresholds\[0\]\.metric: some of .*'deletion_auc' came"):
        check_policy(POLICY, PROTOCOL)
    check_policy(POLICY, replace(PROTOCOL, diagnostics=("deletion", "infidelity")))


def test_random_maps_are_on_the_blob_as_often_as_it_is_large(evaluation: Evaluation) -> None:
    """25 of 480 pixels."""
    hits, control = (evaluation.scores.values[m, "pointing_game"] for m in ("case", RANDOM_MAP))
    assert np.isfinite(control).all()
    assert abs(np.mean(control) - 25 / 480) < 0.15
    row = evaluation.summary("pointing_game", "gradcam")
    assert row is not None
    assert (row.n_undefined > 0) == (row.undefined_because == "empty or constant map, or no object in view")
    assert set(hits[np.isfinite(hits)]) <= {0.0, 1.0}


def test_without_marks_localisation_is_refused() -> None:
    source = blobs(64, (0, 1, 2, 3))
    source.marks = None
    model = loaded(1, trained(4, seed=0), a_split(4, 64), source)
    with pytest.raises(ConfigError, match=r"localisation asks where objects are: split\.objects was expected"):
        evaluate(model, None, policy=Policy(min_samples=10), protocol=ASKED)


@pytest.mark.parametrize("metric", ["mprt_similarity", "emprt_rise"])
def test_no_rule_is_about_one_draw_of_weights_that_all_images_share(metric: str) -> None:
    rule = Threshold(metric=metric, method="gate", limit=0.5, greater_is_better=metric == "emprt_rise")
    with pytest.raises(ConfigError, match=r"policy\.thresholds\[0\]\.metric: some of"):
        check_policy(Policy(thresholds=(rule,)), ASKED)


def test_random_maps_are_as_coarse_as_the_layer_whatever_else_is_measured() -> None:
    both = [("case", "occlusion"), ("occlusion", "case")]
    asked = replace(ASKED, diagnostics=("deletion", "average_drop"), sample_size=12)
    policy = Policy(min_samples=10)
    first, second = (evaluated(replace(asked, methods=methods), policy).scores.values for methods in both)
    for name in ("deletion_auc", "average_drop"):
        assert_array_equal(first[RANDOM_MAP, name], second[RANDOM_MAP, name])


def test_a_diagnostic_that_there_is_not_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"protocol\.diagnostics: some of average_drop, .*'delete' came"):
        check_policy(Policy(), replace(PROTOCOL, diagnostics=("deletion", "delete")))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Engine]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    upgrade(url)
    engine = connect(url)
    yield engine
    engine.dispose()


def test_pages_and_seeds_show_them(evaluation: Evaluation, store: Engine) -> None:
    number = save_evaluation(store, evaluation)
    with TestClient(create_app(Settings(), store)) as client:
        page = client.get(f"/evaluation/{number}").text
        seeds = client.get("/seeds?model=blobs&versions=1&metric=deletion_auc").text
        plain = client.get("/seeds?model=blobs&metric=insertion_aucs")
    assert "<h2>Further diagnostics</h2>" in page
    assert page.count('<th scope="row">') > len(scores_of(DIAGNOSTICS))
    assert all(f"<strong>{score.title}</strong>: " in page for score in scores_of(DIAGNOSTICS))
    assert "Deletion AUC" in seeds
    assert plain.status_code == 400


def test_they_are_stored(evaluation: Evaluation, store: Engine) -> None:
    found = load_scores(store, save_evaluation(store, evaluation))
    assert found is not None
    for key, values in evaluation.scores.values.items():
        assert_array_equal(found.values[key], values)
