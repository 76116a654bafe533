"""How sure a breach must be: before promotion, and night after night in production."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom, norm

from case_monitor.domain.policy import Policy, Rule, Severity, Threshold
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult
from case_monitor.judging.rules import rule_outcomes
from case_monitor.judging.statistics.intervals import wilson_interval
from tests.support.profiles import examples

ACCURACY = Threshold(metric="accuracy", limit=0.9, greater_is_better=True)
RECALL = Threshold(metric="recall", limit=0.5, greater_is_better=True, per_class=True, severity=Severity.WARN)


def outcome(row: MetricSummary, policy: Policy, rules: tuple[Rule, ...] | None = None, **options: bool) -> Status:
    return outcomes(row, policy, rules, **options)[0].status


def outcomes(
    row: MetricSummary, policy: Policy, rules: tuple[Rule, ...] | None = None, *, in_production: bool = True
) -> list[ThresholdResult]:
    return rule_outcomes(rules or policy.rules, [row], policy, 2, in_production=in_production)


def an_accuracy(p: float, n: int = 500) -> MetricSummary:
    """An accuracy below 0.9 whose breach has this p value: the interval ends where z standard errors say."""
    reach = 0.05 * norm.isf(0.025) / norm.isf(p / 2)
    return MetricSummary(metric="accuracy", method="", value=0.85, n=n, ci_low=0.85 - reach, ci_high=0.85 + reach)


@pytest.mark.parametrize(
    ("thresholds", "share"),
    [((ACCURACY,), 1), ((ACCURACY, RECALL), 2), ((ACCURACY, RECALL, replace(RECALL, limit=0.4)), 3)],
)
def test_in_production_the_run_length_is_shared_by_all_families_of_rules(
    thresholds: tuple[Threshold, ...], share: int
) -> None:
    policy = Policy(thresholds=thresholds, in_control_run_length=100)
    level = 1 / 100 / share
    assert outcome(an_accuracy(0.99 * level), policy) is Status.FAIL
    assert outcome(an_accuracy(1.01 * level), policy) is Status.INSUFFICIENT
    assert outcome(an_accuracy(1.01 * level), policy, in_production=False) is Status.FAIL


def test_blocking_rules_are_one_family_with_holms_adjustment() -> None:
    policy = Policy(thresholds=(ACCURACY, replace(ACCURACY, metric="macro_f1")), in_control_run_length=100)
    other = MetricSummary(metric="macro_f1", method="", value=0.95, n=500, ci_low=0.94, ci_high=0.96)
    for p, status in ((0.0049, Status.FAIL), (0.0051, Status.INSUFFICIENT)):
        results = rule_outcomes(policy.rules, [an_accuracy(p), other], policy, 2, in_production=True)
        assert [r.status for r in results] == [status, Status.PASS]


@pytest.mark.parametrize(("n", "rate"), [(100, 0.9), (500, 0.5), (500, 0.9), (2000, 0.97)])
def test_a_figure_exactly_at_its_limit_raises_about_one_false_alarm_in_a_run_length(n: int, rate: float) -> None:
    """Summed over all counts of correct images; Wilson's interval is approximate, the tail of counts discrete."""
    policy = Policy(thresholds=(replace(ACCURACY, limit=rate),), min_samples=1)
    alarms = 0.0
    for k in range(n + 1):
        low, high = wilson_interval(k, n, 0.95)
        row = MetricSummary(metric="accuracy", method="", value=k / n, n=n, ci_low=low, ci_high=high)
        if outcome(row, policy) is Status.FAIL:
            alarms += float(binom.pmf(k, n, rate))
    assert 0.1 < alarms * policy.in_control_run_length < 1.6


@examples(200)
@given(
    value=st.sampled_from([math.nan, 0.5, 0.85, 0.9, 0.95]),
    low=st.floats(0, 0.3),
    high=st.floats(0, 0.3),
    n=st.sampled_from([0, 99, 100, 1000]),
)
def test_in_production_nothing_passes_that_would_not_otherwise_and_less_fails(
    value: float, low: float, high: float, n: int
) -> None:
    row = MetricSummary(metric="accuracy", method="", value=value, n=n, ci_low=value - low, ci_high=value + high)
    policy = Policy(thresholds=(ACCURACY,))
    before, after = outcome(row, policy, in_production=False), outcome(row, policy)
    assert after is before or (before, after) == (Status.FAIL, Status.INSUFFICIENT)


def test_as_many_images_as_are_said_to_be_needed_take_the_breach_below_the_level() -> None:
    policy = Policy(thresholds=(ACCURACY,), in_control_run_length=1000)
    (result,) = outcomes(an_accuracy(0.01), policy)
    assert result.status is Status.INSUFFICIENT
    assert result.n_needed is not None
    shrink = math.sqrt(500 * 1.1 / result.n_needed)  # a tenth more is asked for than it takes
    row = an_accuracy(0.01)
    narrower = replace(row, ci_low=0.85 + shrink * (row.ci_low - 0.85), ci_high=0.85 + shrink * (row.ci_high - 0.85))
    (at_level,) = outcomes(narrower, policy)
    assert at_level.p_value == pytest.approx(0.001, rel=0.01)
    assert "at most 0.001 is asked for" in result.reason


@pytest.mark.parametrize(("n_undefined", "judged"), [(500, True), (501, False)])
def test_a_figure_that_more_than_the_allowed_share_of_its_images_dropped_out_of_is_not_judged(
    n_undefined: int, judged: bool
) -> None:
    """1000 images, and half of them at most may have no score: whatever the others say."""
    because = "empty or constant map"
    row = replace(
        an_accuracy(0.5), value=0.97, ci_low=0.96, ci_high=0.98, n=1000 - n_undefined, n_undefined=n_undefined
    )
    (result,) = outcomes(replace(row, undefined_because=because), Policy(thresholds=(ACCURACY,)), in_production=False)
    assert result.status is (Status.PASS if judged else Status.INSUFFICIENT)
    if not judged:
        assert result.reason == (
            "501 of 1000 images (50.1%) have no score, empty or constant map; at most 50% may have none"
        )
        assert result.n_needed is None
    lenient = Policy(thresholds=(ACCURACY,), max_undefined=0.6)
    assert outcomes(row, lenient, in_production=False)[0].status is Status.PASS


def test_of_classes_there_are_no_more_to_be_had() -> None:
    overlap = Threshold(metric="contrast_jaccard", limit=0.5, greater_is_better=True)
    policy = Policy(thresholds=(overlap,))
    row = MetricSummary(metric="contrast_jaccard", method="", value=0.6, n=8, ci_low=0.4, ci_high=0.8)
    (result,) = outcomes(row, policy)
    assert (result.status, result.n_needed) == (Status.INSUFFICIENT, None)
    assert "no number of images is likely to decide" in result.reason
    seen_once = replace(row, ci_low=0.55, n=3, n_undefined=5, undefined_because="class without an image")
    (result,) = outcomes(seen_once, policy)
    assert result.status is Status.INSUFFICIENT
    assert result.reason.startswith("5 of 8 classes (62.5%) have no score, class without an image; ")
