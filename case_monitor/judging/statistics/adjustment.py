"""p values of several tests at once."""

import numpy as np
from scipy import stats

from case_monitor.domain.arrays import UNDEFINED, FloatArray


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
