"""Kendall's W against a hand computation and against scipy's test of Friedman, which it is a rescaling of."""

import math

import numpy as np
import pytest
from scipy.stats import friedmanchisquare

from case_monitor.judging.rank_agreement import kendalls_w


def test_by_hand() -> None:
    # Ranks 1 2 3 4, 1 3 2 4, 2 1 3 4: sums 4, 6, 8, 12 about their mean 7.5: S = 35; W = 12 * 35 / (9 * 60).
    ratings = np.array([[0.1, 0.2, 0.3, 0.4], [0.1, 0.3, 0.2, 0.4], [0.2, 0.1, 0.3, 0.4]])
    assert kendalls_w(ratings) == pytest.approx(12 * 35 / 540)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("levels", [3, 1000])
def test_friedmans_statistic_is_w_times_m_times_n_minus_1(seed: int, levels: int) -> None:
    """With few levels there are ties."""
    ratings = np.random.default_rng(seed).integers(0, levels, (7, 5)).astype(np.float64)
    statistic = friedmanchisquare(*ratings.T).statistic
    assert kendalls_w(ratings) == pytest.approx(statistic / (7 * 4))


def test_limiting_cases() -> None:
    assert kendalls_w(np.array([[1.0, 2.0], [2.0, 1.0]])) == 0
    assert kendalls_w(np.array([[1.0, 2.0], [3.0, 4.0]])) == 1
    for undefined in (np.ones((1, 3)), np.ones((3, 1)), np.ones((3, 4)), np.empty((0, 0))):
        assert math.isnan(kendalls_w(undefined))
