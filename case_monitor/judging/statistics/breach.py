"""How surely a limit is broken, read off an interval."""

import numpy as np
from scipy import stats

from case_monitor.domain.arrays import UNDEFINED


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
