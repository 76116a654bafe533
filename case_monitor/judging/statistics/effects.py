"""Effect sizes."""

import numpy as np

from case_monitor.domain.arrays import UNDEFINED, FloatArray

_ROUNDING = 1e-9  # a spread below this share of the largest value is rounding


def rate_difference_effect(rate: float, reference: float) -> float:
    """Cohen's h: the difference of two rates after an arcsine transformation, which makes their variance equal."""
    return float(2 * np.arcsin(np.sqrt(rate)) - 2 * np.arcsin(np.sqrt(reference)))


def standardised_mean(values: FloatArray) -> float:
    """Cohen's d_z, mean / SD (n - 1), of differences; undefined where they are constant up to rounding.

    Example:
        >>> round(standardised_mean(np.array([1.0, 2.0, 3.0])), 3)
        2.0
    """
    if len(values) < 2 or np.ptp(values) <= _ROUNDING * np.abs(values).max():
        return UNDEFINED
    return float(values.mean() / values.std(ddof=1))
