"""How figures spread: agreement over images, active channels over classes (paper, Fig. 6)."""

import numpy as np
from scipy import stats

from case_monitor.domain.arrays import FloatArray


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
