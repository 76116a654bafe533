"""Intervals and tests. Each wraps a maintained implementation; what scipy lacks is written out with its source.

Every function returns NaN, never a number, where its quantity is undefined.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import sparse, stats

from case_monitor.core.records import UNDEFINED, FloatArray, IntArray

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
    return _bootstrap((values,), statistic, confidence_level, seed)


def paired_bootstrap_interval(
    first: FloatArray, second: FloatArray, statistic: Callable[..., FloatArray], confidence_level: float, seed: int
) -> tuple[float, float]:
    """Percentile bootstrap interval of statistic(first) - statistic(second); images are drawn with both values."""

    def difference(a: FloatArray, b: FloatArray, axis: int = -1) -> FloatArray:
        return statistic(a, axis=axis) - statistic(b, axis=axis)

    return _bootstrap((first, second), difference, confidence_level, seed)


def _bootstrap(
    samples: tuple[FloatArray, ...], statistic: Callable[..., FloatArray], confidence_level: float, seed: int
) -> tuple[float, float]:
    n = len(samples[0])
    if n < 2:
        return UNDEFINED, UNDEFINED
    result = stats.bootstrap(
        samples,
        statistic,
        n_resamples=_RESAMPLES,
        confidence_level=confidence_level,
        method="percentile",
        paired=len(samples) > 1,
        vectorized=True,
        rng=np.random.default_rng(seed),
        batch=max(1, 4_000_000 // n),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def macro_intervals(counts: IntArray, confidence_level: float, seed: int) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals of balanced accuracy and macro F1: a confusion matrix's images are drawn anew.

    Args:
        counts: (C, C), rows true, columns predicted.
        confidence_level, seed: of the intervals.
    """
    targets, predicted = np.nonzero(counts)
    n, num_classes = int(counts.sum()), len(counts)
    if n < 2:
        return dict.fromkeys(("balanced_accuracy", "macro_f1"), (UNDEFINED, UNDEFINED))
    cells = np.arange(len(targets))
    to_rows, to_columns = (
        sparse.csr_array((np.ones(len(cells)), (cells, classes)), shape=(len(cells), num_classes))
        for classes in (targets, predicted)
    )
    to_diagonal = sparse.csr_array((1.0 * (targets == predicted), (cells, targets)), shape=(len(cells), num_classes))
    rng = np.random.default_rng(seed)
    recalls, f1s = [], []
    for size in _chunks(_RESAMPLES, max(1, 4_000_000 // len(cells))):
        drawn = rng.multinomial(n, counts[targets, predicted] / n, size=size).astype(np.float64)
        hits, support, called = drawn @ to_diagonal, drawn @ to_rows, drawn @ to_columns
        with np.errstate(invalid="ignore"):  # a class that was not drawn is left out, as one without images is
            recalls.append(np.nanmean(hits / support, axis=1))
            f1s.append(np.nanmean(2 * hits / (support + called), axis=1))
    tails = [(1 - confidence_level) / 2, (1 + confidence_level) / 2]
    found = {}
    for metric, means in (("balanced_accuracy", recalls), ("macro_f1", f1s)):
        low, high = np.quantile(np.concatenate(means), tails)
        found[metric] = (float(low), float(high))
    return found


def _chunks(total: int, most: int) -> Iterator[int]:
    yield from (min(most, total - start) for start in range(0, total, most))


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


def benjamini_hochberg(p_values: FloatArray) -> FloatArray:
    """Benjamini and Hochberg's adjustment (1995), which bounds the false discovery rate. NaN stays NaN.

    A NaN does not count as one of the family: what cannot be tested cannot be a discovery.

    Example:
        >>> benjamini_hochberg(np.array([0.01, np.nan, 0.04, 0.03])).round(3).tolist()
        [0.03, nan, 0.04, 0.04]
    """
    adjusted = np.full(len(p_values), UNDEFINED)
    defined = np.isfinite(p_values)
    if defined.any():
        adjusted[defined] = stats.false_discovery_control(p_values[defined])
    return adjusted


def p_value_of_breach(
    value: float,
    interval: tuple[float, float],
    limit: float,
    confidence_level: float,
    n: int,
    *,
    greater_is_better: bool,
) -> float:
    """Two-sided p of "the quantity lies on the good side of `limit`", read off a confidence interval.

    The interval's half towards the limit serves as so many standard errors (Altman and Bland 2011, BMJ 343:d2304), so
    that p < 1 - confidence_level exactly where the whole interval lies beyond the limit, whatever the statistic. An
    interval without width, from values that are all equal, gives no less than a sign test of n values would: 2^(1-n).

    Example:
        >>> round(p_value_of_breach(0.6, (0.5, 0.7), 0.5, 0.95, 100, greater_is_better=False), 3)
        0.05
    """
    low, high = interval
    if not np.isfinite([value, low, high]).all():
        return UNDEFINED
    beyond = limit - value if greater_is_better else value - limit
    reach = value - low if value > limit else high - value
    if beyond <= 0:
        return 1.0
    floor = 0.5 ** (n - 1)
    if reach <= 0:
        return float(floor)
    z = stats.norm.ppf((1 + confidence_level) / 2) * beyond / reach
    return float(max(2 * stats.norm.sf(z), floor))


def rate_difference_effect(rate: float, reference: float) -> float:
    """Cohen's h: the difference of two rates after an arcsine transformation, which makes their variance equal."""
    return float(2 * np.arcsin(np.sqrt(rate)) - 2 * np.arcsin(np.sqrt(reference)))


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
