"""Intervals and tests. Each wraps a maintained implementation; what scipy lacks is written out with its source.

Every function returns NaN, never a number, where its quantity is undefined.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from case_monitor.core.records import UNDEFINED, FloatArray

Alternative = Literal["two-sided", "less", "greater"]
_RESAMPLES = 2000
# Agreement is a ratio of pixel counts: differences below this are rounding, and would break ties in the ranks.
_DECIMALS = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """p value and effect size of a test."""

    __test__ = False  # not a test case, whatever its name says to pytest

    p_value: float = UNDEFINED
    effect_size: float = UNDEFINED


def wilson_interval(successes: int, n: int, confidence_level: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927)."""
    if n == 0:
        return UNDEFINED, UNDEFINED
    interval = stats.binomtest(successes, n).proportion_ci(confidence_level, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_interval(
    values: FloatArray, statistic: Callable[..., FloatArray], confidence_level: float, seed: int
) -> tuple[float, float]:
    """Percentile bootstrap interval of `statistic` (np.mean, np.median) over finite `values`.

    The percentile method, because BCa's jackknife is not defined for a median.
    """
    if len(values) < 2:
        return UNDEFINED, UNDEFINED
    result = stats.bootstrap(
        (values,),
        statistic,
        n_resamples=_RESAMPLES,
        confidence_level=confidence_level,
        method="percentile",
        vectorized=True,
        rng=np.random.default_rng(seed),
        batch=max(1, 4_000_000 // len(values)),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def wilcoxon_test(values: FloatArray, median: float, alternative: Alternative = "less") -> TestResult:
    """One-sample Wilcoxon signed-rank test of H0 "median >= `median`", with the matched-pairs rank-biserial r.

    r = (W+ - W-) / (W+ + W-) (Kerby 2014): -1 when every value lies below `median`. The test assumes symmetry.
    """
    differences = (values - median).round(_DECIMALS)
    differences = differences[differences != 0]
    if len(differences) == 0:
        return TestResult()
    ranks = stats.rankdata(np.abs(differences))
    signed = float((np.sign(differences) * ranks).sum() / ranks.sum())
    result = stats.wilcoxon(differences, alternative=alternative)
    return TestResult(p_value=float(result.pvalue), effect_size=signed)


def paired_t_test(first: FloatArray, second: FloatArray, alternative: Alternative) -> TestResult:
    """Paired t-test of mean(first - second) against 0, with Cohen's d_z (mean / SD of the differences).

    Undefined where the differences are constant up to rounding: their SD would be noise, and p a false 0.
    """
    differences = first - second
    if len(differences) < 2 or np.ptp(differences) <= 10.0**-_DECIMALS * np.abs(differences).max():
        return TestResult()
    result = stats.ttest_rel(first, second, alternative=alternative)
    return TestResult(p_value=float(result.pvalue), effect_size=float(differences.mean() / differences.std(ddof=1)))


def holm(p_values: FloatArray) -> FloatArray:
    """Holm's step-down adjustment (Holm 1979). NaN stays NaN, and still counts as one of the family.

    Example:
        >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values)  # NaN last
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.empty(len(p_values))
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    return adjusted


def mcnemar_test(only_first: int, only_second: int) -> TestResult:
    """Exact McNemar test on the discordant pairs; the effect is (b - c) / (b + c)."""
    discordant = only_first + only_second
    if discordant == 0:
        return TestResult()
    p_value = float(stats.binomtest(only_first, discordant).pvalue)
    return TestResult(p_value=p_value, effect_size=(only_first - only_second) / discordant)


def newcombe_paired_interval(
    both: int, only_first: int, only_second: int, neither: int, confidence_level: float
) -> tuple[float, float]:
    """Interval of p1 - p2 for paired proportions: method 10 of Newcombe (1998, Stat. Med. 17:2635).

    Args:
        both, only_first, only_second, neither: images that both models, one of them, or neither got right.
        confidence_level: of the interval.
    """
    a, b, c, d = both, only_first, only_second, neither
    n = a + b + c + d
    if n == 0:
        return UNDEFINED, UNDEFINED
    p1, p2 = (a + b) / n, (a + c) / n
    l1, u1 = wilson_interval(a + b, n, confidence_level)
    l2, u2 = wilson_interval(a + c, n, confidence_level)
    margins = (a + b) * (c + d) * (a + c) * (b + d)
    cross = a * d - b * c
    # The correlation is corrected for continuity when positive, as in the paper.
    phi = 0.0 if margins == 0 else (max(cross - n / 2, 0) if cross > 0 else cross) / margins**0.5
    low = np.sqrt((p1 - l1) ** 2 - 2 * phi * (p1 - l1) * (u2 - p2) + (u2 - p2) ** 2)
    high = np.sqrt((p2 - l2) ** 2 - 2 * phi * (p2 - l2) * (u1 - p1) + (u1 - p1) ** 2)
    return float(p1 - p2 - low), float(p1 - p2 + high)
