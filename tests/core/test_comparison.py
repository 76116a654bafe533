"""Candidate against baseline by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from case_monitor.core.comparison import accuracy_vs_baseline
from case_monitor.core.errors import DataError
from case_monitor.core.records import Predictions
from case_monitor.core.statistics import newcombe_paired_interval
from tests.core.sources import predictions


def right_on(right: list[int], n: int = 40) -> Predictions:
    logits = np.tile([0.0, 1.0], (n, 1))
    logits[right] = [1.0, 0.0]
    return predictions(logits, np.zeros(n))


def test_the_difference_is_candidate_minus_baseline() -> None:
    """Candidate right on 0..29, baseline on 25..31: 25 gained, 2 lost, 5 both, 8 neither."""
    row = accuracy_vs_baseline(right_on(list(range(30))), right_on(list(range(25, 32))), 0.9)
    assert row.value == pytest.approx(23 / 40)
    assert row.n == 40
    assert (row.ci_low, row.ci_high) == newcombe_paired_interval(5, 25, 2, 8, 0.9)
    assert row.ci_low < row.value < row.ci_high
    assert row.p_value == pytest.approx(stats.binomtest(2, 27).pvalue)
    assert row.effect_size == pytest.approx(23 / 27)


def test_a_version_against_itself_differs_by_nothing_with_an_interval_and_without_p() -> None:
    preds = right_on(list(range(30)))
    row = accuracy_vs_baseline(preds, preds, 0.95)
    assert row.value == 0
    assert row.ci_low < 0 < row.ci_high
    assert np.isnan(row.p_value)


def test_other_images_or_targets_are_refused() -> None:
    preds = right_on([0])
    for other in (
        replace(preds, sample_ids=tuple(reversed(preds.sample_ids))),
        replace(preds, target=np.ones(40, dtype=np.int64)),
        right_on([0], n=39),
    ):
        with pytest.raises(DataError, match="predictions on the candidate's images"):
            accuracy_vs_baseline(preds, other, 0.95)
