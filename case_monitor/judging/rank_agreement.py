"""Do several judges rank the same things alike?"""

import numpy as np
from scipy import stats

from case_monitor.domain.arrays import UNDEFINED, FloatArray


def kendalls_w(ratings: FloatArray) -> float:
    """Kendall's coefficient of concordance, corrected for ties: 1 where all judges rank alike, about 0 at chance.

    W = (12 sum R_i^2 - 3 m^2 n (n + 1)^2) / (m^2 n (n^2 - 1) - m sum T_j), with R_i the sum of the ranks that m judges
    give thing i of n, and T_j the sum of t^3 - t over judge j's groups of t equal ratings (Kendall and Smith 1939;
    Siegel and Castellan 1988).

    Args:
        ratings: (m, n) of m judges on n things, finite.

    Returns:
        NaN for fewer than two judges or things, or where no judge tells any two things apart.

    Example:
        >>> kendalls_w(np.array([[0.1, 0.2, 0.3], [0.1, 0.5, 0.9]]))
        1.0
    """
    m, n = ratings.shape
    if m < 2 or n < 2:
        return UNDEFINED
    ranks = stats.rankdata(ratings, axis=1)
    ties = sum(float((counts**3 - counts).sum()) for counts in map(_group_sizes, ratings))
    scale = m**2 * n * (n**2 - 1) - m * ties
    if scale <= 0:
        return UNDEFINED
    return float((12 * (ranks.sum(axis=0) ** 2).sum() - 3 * m**2 * n * (n + 1) ** 2) / scale)


def _group_sizes(ratings: FloatArray) -> FloatArray:
    return np.unique(ratings, return_counts=True)[1].astype(np.float64)
