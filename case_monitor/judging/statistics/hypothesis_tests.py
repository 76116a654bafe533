"""Tests of one sample and of pairs."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from case_monitor.domain.arrays import UNDEFINED, FloatArray
from case_monitor.judging.statistics.intervals import _DECIMALS

Alternative = Literal["two-sided", "less", "greater"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """p value and effect size of a test."""

    __test__ = False  # not a test case, whatever its name says to pytest

    p_value: float = UNDEFINED
    effect_size: float = UNDEFINED


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


def mcnemar_test(only_first: int, only_second: int) -> TestResult:
    """Exact McNemar test on the discordant pairs; the effect is (b - c) / (b + c)."""
    discordant = only_first + only_second
    if discordant == 0:
        return TestResult()
    p_value = float(stats.binomtest(only_first, discordant).pvalue)
    return TestResult(p_value=p_value, effect_size=(only_first - only_second) / discordant)
