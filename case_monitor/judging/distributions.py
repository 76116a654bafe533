"""How figures spread: agreement over images, active channels over classes (paper, Fig. 6)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from case_monitor.domain.arrays import UNDEFINED, FloatArray, IntArray


def histogram(scores: FloatArray, bins: int = 20) -> FloatArray:
    """Relative frequency of agreement in `bins` equal bins over [0, 1]; the last bin includes 1; NaN is left out.

    Example:
        >>> histogram(np.array([0.0, 0.04, 1.0, np.nan]))[[0, -1]].round(2).tolist()
        [0.67, 0.33]
    """
    defined = scores[np.isfinite(scores)]
    # Rounded before the floor: 0.29 is the lower edge of one of 100 bins, and 0.29 * 100 is a little less than 29.
    places = np.floor((defined * bins).round(9)).astype(np.int64)
    return np.bincount(np.minimum(places, bins - 1), minlength=bins) / max(len(defined), 1)


def density(values: FloatArray) -> tuple[FloatArray, FloatArray] | None:
    """(x, density) of a Gaussian kernel estimate, for x >= 0; None where the values do not spread."""
    if len(values) < 2 or np.ptp(values) <= 1e-6 * max(1.0, float(np.abs(values).max())):
        return None
    estimate = stats.gaussian_kde(values)
    margin = 3 * float(np.sqrt(estimate.covariance[0, 0]))
    x = np.linspace(max(0.0, values.min() - margin), values.max() + margin, 400)
    return x, np.asarray(estimate(x), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeanOf:
    """A mean over `n` images; NaN where there is none."""

    mean: float
    n: int


def mean_by_contrast(
    parts: Sequence[tuple[FloatArray, IntArray, IntArray, Mapping[int, frozenset[int]]]],
) -> tuple[MeanOf, MeanOf]:
    """Mean score of images whose two classes are in each other's contrast set, and of those where neither is.

    Args:
        parts: (n,) scores, NaN is left out; (n,) first and (n,) second classes; and class -> its contrast set, without
            which images of a class are left out.

    Example:
        >>> scores, first, second = np.array([0.2, 0.4, 0.9]), np.array([0, 1, 2]), np.array([1, 0, 0])
        >>> sets = {0: frozenset({1}), 1: frozenset({0}), 2: frozenset({1})}
        >>> [(round(part.mean, 9), part.n) for part in mean_by_contrast([(scores, first, second, sets)])]
        [(0.3, 2), (0.9, 1)]
    """
    found: tuple[list[float], list[float]] = [], []
    for scores, first, second, sets in parts:
        for score, u, v in zip(scores.tolist(), first.tolist(), second.tolist(), strict=True):
            if u not in sets or v not in sets or not np.isfinite(score):
                continue
            both = (v in sets[u]) + (u in sets[v])
            if both != 1:
                found[0 if both else 1].append(score)
    inside, outside = (MeanOf(mean=float(np.mean(part)) if part else UNDEFINED, n=len(part)) for part in found)
    return inside, outside
