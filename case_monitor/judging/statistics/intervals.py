"""Confidence intervals."""

import math
from collections.abc import Callable, Iterator

import numpy as np
from scipy import sparse, special, stats

from case_monitor.domain.arrays import UNDEFINED, FloatArray, IntArray

_RESAMPLES = 2000


# Agreement is a ratio of pixel counts: differences below this are rounding, and would break ties in the ranks.
_DECIMALS = 9


def wilson_interval(successes: float, n: float, confidence_level: float) -> tuple[float, float]:
    """Wilson's score interval of a proportion (Wilson 1927). Ties, half a success each, make it wider than need be."""
    if n == 0:
        return UNDEFINED, UNDEFINED
    share, z = successes / n, _z(confidence_level)
    centre, scale = (2 * n * share + z**2), 2 * (n + z**2)
    reach = z / scale * math.sqrt(4 * n * share * (1 - share) + z**2)
    low = 0.0 if successes <= 0 else centre / scale - reach
    return low, 1.0 if successes >= n else centre / scale + reach


def standardised_mean_interval(d: float, n: int, confidence_level: float) -> tuple[float, float]:
    """Of d = mean / SD of n values: d +- z sqrt(1/n + d^2/2n)."""
    reach = _z(confidence_level) * math.sqrt(1 / n + d**2 / (2 * n)) if n else UNDEFINED
    return d - reach, d + reach


def pair_mean_interval(of_each: FloatArray, confidence_level: float) -> tuple[float, float]:
    """Of the mean of a symmetric function over all pairs of n things, in [0, 1].

    A thing has its part in n - 1 pairs: the SD of a U statistic is about twice that of a mean (Hoeffding 1948).

    Args:
        of_each: (n,) the mean over the pairs that a thing is in.
        confidence_level: of the interval.
    """
    n = len(of_each)
    if n < 2:
        return UNDEFINED, UNDEFINED
    mean, reach = float(of_each.mean()), _z(confidence_level) * 2 * float(of_each.std(ddof=1)) / math.sqrt(n)
    return max(mean - reach, 0.0), min(mean + reach, 1.0)


def _z(confidence_level: float) -> float:
    return float(special.ndtri(0.5 + 0.5 * confidence_level))


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


def newcombe_paired_interval(
    both: float, only_first: float, only_second: float, neither: float, confidence_level: float
) -> tuple[float, float]:
    """Interval of p1 - p2 for paired proportions: method 10 of Newcombe (1998, Stat. Med. 17:2635).

    Args:
        both, only_first, only_second, neither: images that both models, one of them, or neither got right; of one that
            is half right, a part each.
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
