"""The catalogue of metrics is what is measured, and nothing measured leaves its range."""

import math

import numpy as np
import pytest

from case_monitor.domain.metrics import HOW_GOOD_A_MODEL_IS, METRICS, metrics_under, named
from case_monitor.domain.policy import Policy, vs_baseline
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.confusion import class_metrics
from case_monitor.judging.figures.between_versions import Measured, comparison_summaries
from case_monitor.judging.figures.of_one_version import explanation_summaries, model_summaries
from case_monitor.judging.label_counts import LabelCounter
from case_monitor.judging.same_answers import logit_difference
from tests.support.factories import an_evaluation
from tests.support.sources import predictions
from tests.support.whole import confusion_matrix

PROTOCOL = Protocol()
LEFT_OUT = {f"{of}_contrast_{what}_rate" for of in ("pair", "shown") for what in ("one_sided", "tie")}
NOT_JUDGED = {
    "finite_logits",
    "finite_passes",
    "same_answers",
    "explained",
    "occlusion_contrast",
    "transplant",
    "mprt_similarity",
    "emprt_rise",
    *LEFT_OUT,
}
"""Figures that no rule of a policy may be about."""


@pytest.fixture(scope="module")
def figures() -> tuple[MetricSummary, ...]:
    """All that an evaluation of a random model against another one measures, but for explanation drift."""
    first, second = (an_evaluation(version=v, seed=v, class_names=tuple("abcde"), num_samples=200) for v in (1, 2))
    rng = np.random.default_rng(0)
    confmat = confusion_matrix(predictions(rng.normal(size=(200, 4)), rng.integers(0, 4, 200)), 4)
    rows = model_summaries(confmat, class_metrics(confmat, np.zeros(4), 0.95), 0, Policy(), seed=0)
    rows += explanation_summaries(first.scores, PROTOCOL, Policy())
    counter = LabelCounter(np.full(4, 0.5))
    counter.add(predictions(rng.normal(size=(200, 4)), rng.integers(0, 4, 200)))
    rows += tuple(counter.summaries(0.95))
    pair = (Measured(preds=e.preds, contrasts=e.contrast_sets, scores=e.scores) for e in (first, second))
    drift = {method: rng.random(50) for method in PROTOCOL.methods}
    logits = rng.normal(size=(2, 50, 4)).astype(np.float32)
    rows += (logit_difference(*logits),)
    return rows + comparison_summaries(*pair, drift, PROTOCOL, 0.95)


def test_every_figure_with_an_interval_is_in_the_catalogue_and_the_other_way_round(
    figures: tuple[MetricSummary, ...],
) -> None:
    with_interval = {(s.metric, s.class_idx is not None) for s in figures if math.isfinite(s.ci_low)}
    found = {(m, c) for m, c in with_interval if not m.endswith(vs_baseline("")) and m not in NOT_JUDGED}
    known = metrics_under(PROTOCOL)
    assert found == {(n, False) for n, m in known.items() if m.overall} | {
        (n, True) for n, m in known.items() if m.per_class
    }
    compared = {(m.removesuffix(vs_baseline("")), c) for m, c in with_interval if m.endswith(vs_baseline(""))}
    assert compared == {(n, False) for n, m in known.items() if m.compared} | {
        (n, True) for n, m in known.items() if m.compared_per_class
    }
    assert {s.metric for s in figures if s.method} - {n for n, m in known.items() if m.of_methods} - LEFT_OUT == {
        vs_baseline(n) for n, m in known.items() if m.of_methods and m.compared
    }


def test_no_figure_leaves_its_range(figures: tuple[MetricSummary, ...]) -> None:
    known = metrics_under(PROTOCOL)
    for row in figures:
        if row.metric in known and math.isfinite(row.value):
            assert known[row.metric].low <= row.value <= known[row.metric].high, row


def test_what_protocols_measure() -> None:
    one = metrics_under(Protocol(methods=("gradcam",), areas=(0.05,), fills=("mean", "blur")))
    assert {n for n in one if "drop" in n} == {
        f"{kind}confidence_drop_{suffix}{end}"
        for suffix in ("5", "5_blur")
        for kind, end in (("", ""), ("abs_", ""), ("relative_", ""), ("", "_vs_random"))
    }
    assert {"contrast_jaccard", "baseline_agreement"} == {n for n, m in METRICS.items() if m.needs_baseline}
    assert {"contrast_jaccard"} == {n for n, m in METRICS.items() if m.of_classes}
    how_good = {n for n, m in METRICS.items() if m.says_how_good}
    assert {"accuracy", "balanced_accuracy", "macro_f1", "recall", "skill"} == how_good
    assert all(name.replace("_", " ") in HOW_GOOD_A_MODEL_IS.lower() for name in how_good)


def test_every_name_leads_to_its_row_and_no_other() -> None:
    protocol = Protocol(areas=(0.5, 0.025, 0.00005), fills=("mean", "blur"))
    for name in metrics_under(protocol):
        found = named(name)
        assert found is not None
        assert found.metric.name.format(found.suffix) == name
        assert not found.suffix or found.suffix in protocol.suffixes
    assert named("agreement_median_vs_baseline") is None
    assert named("confidence_drop_{}") is None


def test_figures_that_no_rule_is_about_have_a_row_as_well(figures: tuple[MetricSummary, ...]) -> None:
    assert {n for n, m in METRICS.items() if not m.by_rules} == NOT_JUDGED
    assert all(named(row.metric.removesuffix(vs_baseline(""))) for row in figures)
