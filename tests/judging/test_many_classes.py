"""Of hundreds of classes a healthy model knows some badly: what withholds is a class that it does not know at all."""

from dataclasses import replace

import numpy as np
import pytest

from case_monitor.domain.errors import ConfigError
from case_monitor.domain.policy import CONTRAST_THRESHOLDS, Policy, Severity, Threshold
from case_monitor.domain.policy_check import check_policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.rules import rule_outcomes
from case_monitor.judging.statistics.intervals import wilson_interval

POLICY = Policy(thresholds=CONTRAST_THRESHOLDS)
(KNOWN,) = (t for t in CONTRAST_THRESHOLDS if t.metric == "recall" and t.limit is not None)


def withheld(threshold: Threshold, hits: "np.ndarray[tuple[int], np.dtype[np.int64]]", n: int) -> list[int]:
    """Classes that do not pass, where of each so many of n images are recognised."""
    rows = []
    for u, x in enumerate(hits.tolist()):
        low, high = wilson_interval(x, n, 0.95)
        rows.append(MetricSummary(metric="recall", method="", class_idx=u, value=x / n, n=n, ci_low=low, ci_high=high))
    found = rule_outcomes(threshold.rules, rows, POLICY, len(hits), in_production=False)
    return [r.class_idx for r in found if r.status is not Status.PASS and r.class_idx is not None]


@pytest.mark.parametrize(("classes", "limit"), [(2, 0.25), (10, 0.25), (20, 0.25), (50, 0.1), (1000, 0.005)])
def test_a_class_is_known_where_it_is_found_five_times_as_often_as_by_guessing_or_in_a_quarter_of_its_images(
    classes: int, limit: float
) -> None:
    (rule,) = KNOWN.rules
    assert rule.among(classes).limit == pytest.approx(limit)
    rows = [MetricSummary(metric="recall", method="", class_idx=0, value=0.0, n=99, ci_low=0.0, ci_high=0.03)]
    found = rule_outcomes(KNOWN.rules, rows, POLICY, classes, in_production=False)
    assert {r.threshold.limit for r in found} == {rule.among(classes).limit}


def test_a_difference_from_production_has_the_same_margin_however_many_classes_there_are() -> None:
    both = replace(KNOWN, allowed_regression=0.1)
    assert [rule.among(1000).limit for rule in both.rules] == [0.005, -0.1]


def test_a_healthy_model_of_a_thousand_classes_passes_and_one_with_a_dead_class_does_not() -> None:
    """50 images a class, as ImageNet has. Recalls like those of its networks: 76% on average, the worst about 15%."""
    rng = np.random.default_rng(0)
    fixed = replace(KNOWN, times_chance=None)
    passed, dead_caught, passed_fixed = 0, 0, 0
    for _ in range(20):
        hits = rng.binomial(50, rng.beta(4, 1.26, size=1000))
        passed += not withheld(KNOWN, hits, 50)
        passed_fixed += not withheld(fixed, hits, 50)
        hits[7] = rng.binomial(50, 1 / 1000)
        dead_caught += 7 in withheld(KNOWN, hits, 50)
    assert (passed, passed_fixed) == (19, 0)
    assert dead_caught == 20


def test_one_hit_by_luck_does_not_make_a_class_known() -> None:
    """Wilson's interval of 1 of 50 begins at 0.0035; a class that is guessed has one in 5% of the splits."""
    hits = np.full(1000, 40)
    hits[:3] = [0, 1, 2]
    assert withheld(KNOWN, hits, 50) == [0, 1]


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        (Threshold(metric="accuracy", limit=0.5, greater_is_better=True, times_chance=5), "none was expected but for"),
        (replace(KNOWN, times_chance=0.5), r"times_chance: a number of 1 or more was expected, 0.5 came"),
        (replace(KNOWN, times_chance=float("nan")), "a number of 1 or more was expected, nan came"),
        (replace(KNOWN, times_chance=float("inf")), "a number of 1 or more was expected, inf came"),
        (replace(KNOWN, limit=None, allowed_regression=0.1), "a number was expected with times_chance, none came"),
    ],
)
def test_what_asks_for_nothing_is_refused(threshold: Threshold, said: str) -> None:
    others = [t for t in CONTRAST_THRESHOLDS if t.severity is Severity.BLOCK and t is not KNOWN]
    with pytest.raises(ConfigError, match=said):
        check_policy(Policy(thresholds=(*others, threshold)), Protocol())
