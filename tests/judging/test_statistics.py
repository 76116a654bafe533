"""Intervals and tests against statsmodels, scipy, exact enumeration, and simulations with known truth."""

import itertools
import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, f1_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint, proportion_effectsize

from case_monitor.judging.statistics.adjustment import benjamini_hochberg, holm
from case_monitor.judging.statistics.breach import p_value_of_breach
from case_monitor.judging.statistics.effects import rate_difference_effect
from case_monitor.judging.statistics.hypothesis_tests import mcnemar_test, paired_t_test, wilcoxon_test
from case_monitor.judging.statistics.intervals import (
    bootstrap_interval,
    macro_intervals,
    newcombe_paired_interval,
    paired_bootstrap_interval,
    wilson_interval,
)
from tests.support.profiles import examples


def assert_undefined(*values: float) -> None:
    assert all(math.isnan(v) for v in values)


@examples(60)
@given(n=st.integers(1, 400), share=st.floats(0, 1), level=st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_equals_statsmodels(n: int, share: float, level: float) -> None:
    hits = round(share * n)
    ours = wilson_interval(hits, n, level)
    assert_allclose(ours, proportion_confint(hits, n, alpha=1 - level, method="wilson"), atol=1e-12)


def test_wilson_of_nothing_is_undefined() -> None:
    assert_undefined(*wilson_interval(0, 0, 0.95))


@pytest.mark.parametrize("m", [1, 2, 5, 8, 40])
def test_holm_equals_statsmodels(m: int) -> None:
    p_values = np.random.default_rng(m).random(m).round(1) ** 3
    assert_allclose(holm(p_values), multipletests(p_values, method="holm")[1], atol=1e-12)


def test_holm_counts_an_undefined_test_as_one_of_the_family() -> None:
    adjusted = holm(np.array([0.01, np.nan, 0.02]))
    assert_allclose(adjusted, [0.03, np.nan, 0.04])
    assert len(holm(np.array([]))) == 0


@pytest.mark.parametrize(("b", "c"), [(0, 1), (3, 9), (12, 2), (5, 5), (40, 61)])
def test_mcnemar_equals_statsmodels(b: int, c: int) -> None:
    result = mcnemar_test(b, c)
    assert_allclose(result.p_value, mcnemar([[7, b], [c, 3]], exact=True).pvalue)
    assert result.effect_size == pytest.approx((b - c) / (b + c))


def test_mcnemar_without_discordant_pairs_is_undefined() -> None:
    assert_undefined(mcnemar_test(0, 0).p_value, mcnemar_test(0, 0).effect_size)


def exact_signed_rank_p(differences: np.ndarray) -> float:
    """P(W+ <= observed) over all assignments of signs."""
    ranks = stats.rankdata(np.abs(differences))
    observed = ranks[differences > 0].sum()
    signs = itertools.product([0, 1], repeat=len(ranks))
    return float(np.mean([np.dot(s, ranks) <= observed + 1e-9 for s in signs]))


def test_wilcoxon_equals_exact_enumeration_without_ties() -> None:
    values = np.array([0.11, 0.32, 0.61, 0.44, 0.29, 0.57, 0.05, 0.48, 0.72])
    result = wilcoxon_test(values, 0.5)
    assert_allclose(result.p_value, exact_signed_rank_p((values - 0.5).round(9)))


def test_wilcoxon_equals_scipy_on_rounded_differences() -> None:
    """0.6 - 0.5 and 0.4 - 0.5 differ in the last bit; unrounded, their ranks would not be tied."""
    values = np.random.default_rng(0).integers(0, 11, 200) / 10
    rounded = (values - 0.5).round(9)
    result = wilcoxon_test(values, 0.5)
    assert_allclose(result.p_value, stats.wilcoxon(rounded[rounded != 0], alternative="less").pvalue)
    unrounded = stats.wilcoxon((values - 0.5)[values != 0.5], alternative="less").pvalue
    assert abs(result.p_value - unrounded) > 1e-9


def test_wilcoxon_is_one_sided_towards_lower_values() -> None:
    low = np.linspace(0.1, 0.3, 30)
    assert wilcoxon_test(low, 0.5).p_value < 1e-6
    assert wilcoxon_test(1 - low, 0.5).p_value > 1 - 1e-6
    assert wilcoxon_test(1 - low, 0.5, "greater").p_value < 1e-6


def test_rank_biserial_by_hand() -> None:
    """Differences -0.1, 0.2, -0.3: ranks 1, 2, 3; (2 - 4) / 6. A value at the median has no rank."""
    assert wilcoxon_test(np.array([0.4, 0.7, 0.2, 0.5]), 0.5).effect_size == pytest.approx(-1 / 3)
    assert wilcoxon_test(np.array([0.1, 0.2]), 0.5).effect_size == -1
    assert wilcoxon_test(np.array([0.4, 0.6]), 0.5).effect_size == 0


@pytest.mark.parametrize("values", [[], [0.5, 0.5, 0.5], [np.nan, 0.1, 0.2]])
def test_wilcoxon_of_nothing_is_undefined(values: list[float]) -> None:
    result = wilcoxon_test(np.array(values), 0.5)
    assert_undefined(result.p_value, result.effect_size)


@pytest.mark.parametrize("side", ["two-sided", "less", "greater"])
def test_paired_t_test_equals_the_one_sample_test_of_the_differences(side: str) -> None:
    first, second = np.random.default_rng(1).normal([[0.2], [0.0]], 1, (2, 40))
    result = paired_t_test(first, second, side)
    assert_allclose(result.p_value, stats.ttest_1samp(first - second, 0, alternative=side).pvalue)
    assert_allclose(result.effect_size, (first - second).mean() / np.std(first - second, ddof=1))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ([], []),
        ([1.0], [0.0]),
        ([1.0, 2.0], [1.0, 2.0]),
        ([0.3, 0.7, 0.11], [0.2, 0.6, 0.01]),  # constant but for rounding
        ([1.0, np.nan, 3.0], [0.0, 0.5, 1.0]),
    ],
)
def test_paired_t_test_of_nothing_or_of_constant_differences_is_undefined(
    first: list[float], second: list[float]
) -> None:
    result = paired_t_test(np.array(first), np.array(second), "two-sided")
    assert_undefined(result.p_value, result.effect_size)


def newcombe_10(a: int, b: int, c: int, d: int, z: float) -> tuple[float, float]:
    """Method 10 of Newcombe (1998), written out from the paper with Wilson's limits as roots of a quadratic."""
    n = a + b + c + d

    def wilson(x: int) -> tuple[float, float]:
        centre, spread = 2 * x + z * z, z * math.sqrt(z * z + 4 * x * (1 - x / n))
        return (centre - spread) / (2 * (n + z * z)), (centre + spread) / (2 * (n + z * z))

    (l2, u2), (l3, u3) = wilson(a + b), wilson(a + c)
    p2, p3 = (a + b) / n, (a + c) / n
    dl2, du2, dl3, du3 = p2 - l2, u2 - p2, p3 - l3, u3 - p3
    product = (a + b) * (c + d) * (a + c) * (b + d)
    numerator = a * d - b * c
    if numerator > n / 2:
        numerator -= n / 2
    elif numerator >= 0:
        numerator = 0
    phi = numerator / math.sqrt(product) if product else 0.0
    delta = math.sqrt(dl2**2 - 2 * phi * dl2 * du3 + du3**2)
    epsilon = math.sqrt(du2**2 - 2 * phi * du2 * dl3 + dl3**2)
    return (b - c) / n - delta, (b - c) / n + epsilon


@examples(100)
@given(cells=st.tuples(*[st.integers(0, 30)] * 4).filter(lambda cells: sum(cells) > 0))
def test_newcombe_equals_the_formula_written_out(cells: tuple[int, int, int, int]) -> None:
    assert_allclose(newcombe_paired_interval(*cells, 0.95), newcombe_10(*cells, stats.norm.ppf(0.975)), atol=1e-10)


@pytest.mark.parametrize("p", [(0.85, 0.06, 0.03, 0.06), (0.4, 0.2, 0.2, 0.2), (0.9, 0.0, 0.1, 0.0)])
def test_newcombe_covers_the_true_difference(p: tuple[float, float, float, float]) -> None:
    draws = np.random.default_rng(2).multinomial(80, p, size=1000)
    truth = p[1] - p[2]
    covered = [low <= truth <= high for low, high in (newcombe_paired_interval(*d, 0.95) for d in draws.tolist())]
    assert 0.93 <= np.mean(covered) <= 0.995


def test_newcombe_in_its_limits() -> None:
    low, high = newcombe_paired_interval(50, 0, 0, 50, 0.95)
    assert low == pytest.approx(-high)
    assert high < 0.05  # the two models are the same: far narrower than two independent samples
    swapped = newcombe_paired_interval(20, 2, 12, 16, 0.95)
    assert_allclose(newcombe_paired_interval(20, 12, 2, 16, 0.95), (-swapped[1], -swapped[0]))
    assert newcombe_paired_interval(0, 1, 0, 0, 0.95)[1] <= 1
    assert_undefined(*newcombe_paired_interval(0, 0, 0, 0, 0.95))


@pytest.mark.parametrize(("statistic", "truth"), [(np.mean, 1.0), (np.median, math.log(2))])
def test_the_bootstrap_interval_covers_the_truth_of_an_exponential(statistic: object, truth: float) -> None:
    rng = np.random.default_rng(3)
    intervals = [bootstrap_interval(rng.exponential(size=60), statistic, 0.9, seed=i) for i in range(200)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.82 <= covered <= 0.97  # nominal 0.90, binomial SD 0.02, percentile intervals a little short


def test_the_bootstrap_interval_of_a_large_normal_sample_is_the_textbooks() -> None:
    values = np.random.default_rng(4).normal(size=2000)
    half = 1.96 * values.std(ddof=1) / 2000**0.5
    low, high = bootstrap_interval(values, np.mean, 0.95, seed=0)
    assert_allclose((low, high), (values.mean() - half, values.mean() + half), atol=0.1 * half)


def test_the_bootstrap_interval_widens_with_the_level_and_depends_on_the_seed_alone() -> None:
    values = np.random.default_rng(5).normal(size=50)
    narrow, wide = (bootstrap_interval(values, np.mean, level, seed=1) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert bootstrap_interval(values, np.mean, 0.5, seed=1) == narrow
    assert bootstrap_interval(values, np.mean, 0.5, seed=2) != narrow


def test_the_bootstrap_interval_of_too_little_is_undefined_and_of_a_constant_is_a_point() -> None:
    assert_undefined(
        *bootstrap_interval(np.array([]), np.mean, 0.95, 0), *bootstrap_interval(np.ones(1), np.mean, 0.95, 0)
    )
    assert bootstrap_interval(np.full(9, 0.25), np.median, 0.95, 0) == (0.25, 0.25)


@pytest.mark.parametrize("p_values", [[0.01, 0.04, 0.03], [0.2, np.nan, 0.001, 0.04], [np.nan, np.nan], [0.5], []])
def test_benjamini_hochberg_agrees_with_statsmodels(p_values: list[float]) -> None:
    p = np.array(p_values, dtype=np.float64)
    adjusted, defined = benjamini_hochberg(p), np.isfinite(p)
    assert np.isnan(adjusted[~defined]).all()
    if defined.any():
        assert_allclose(adjusted[defined], multipletests(p[defined], method="fdr_bh")[1])


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
@given(p_values=st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_p_are_monotone_and_never_smaller(adjust: Callable, p_values: list[float]) -> None:
    p = np.array(p_values)
    adjusted = adjust(p)
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= -1e-12).all()
    assert ((adjusted >= p - 1e-12) & (adjusted <= 1)).all()


@pytest.mark.parametrize(("rate", "reference"), [(0.9, 0.1), (0.5, 0.5), (1.0, 0.25), (0.0, 0.3)])
def test_cohens_h_agrees_with_statsmodels(rate: float, reference: float) -> None:
    assert rate_difference_effect(rate, reference) == pytest.approx(proportion_effectsize(rate, reference))


def test_p_of_a_breach_is_that_of_the_normal_test_behind_the_interval() -> None:
    mean, se, n = 0.6, 0.04, 300
    low, high = stats.norm.interval(0.9, mean, se)
    for limit, greater in ((0.5, False), (0.68, True)):
        found = p_value_of_breach(mean, (low, high), limit, 0.9, n, greater_is_better=greater)
        assert found == pytest.approx(2 * stats.norm.sf(abs(mean - limit) / se))
        assert p_value_of_breach(mean, (low, high), limit, 0.9, n, greater_is_better=not greater) == 1


@given(
    value=st.floats(-1, 1),
    below=st.floats(0.001, 1),
    above=st.floats(0.001, 1),
    limit=st.floats(-1, 1),
    greater=st.booleans(),
)
def test_p_of_a_breach_and_interval_say_the_same(
    value: float, below: float, above: float, limit: float, greater: bool
) -> None:
    low, high = value - below, value + above
    p = p_value_of_breach(value, (low, high), limit, 0.95, 500, greater_is_better=greater)
    beyond = high < limit if greater else low > limit
    assert (p < 0.05) == beyond or abs((high if greater else low) - limit) < 1e-9


def test_p_of_a_breach_by_equal_values_is_not_zero_and_of_nan_undefined() -> None:
    assert p_value_of_breach(1.0, (1.0, 1.0), 0.5, 0.95, 6, greater_is_better=False) == 0.5**5
    assert p_value_of_breach(0.5, (0.5, 0.5), 0.5, 0.95, 6, greater_is_better=False) == 1
    assert np.isnan(p_value_of_breach(np.nan, (0.1, 0.2), 0.5, 0.95, 6, greater_is_better=False))


def test_intervals_over_classes_are_those_of_drawing_images() -> None:
    counts = np.array([[30, 5, 0], [2, 40, 1], [0, 6, 16]])
    target, predicted = (np.repeat(axis, counts.ravel()) for axis in np.indices((3, 3)).reshape(2, -1))
    rng = np.random.default_rng(1)
    drawn = [rng.integers(0, len(target), len(target)) for _ in range(1500)]
    found = macro_intervals(counts, 0.9, seed=0)
    for metric, oracle in (
        ("balanced_accuracy", balanced_accuracy_score),
        ("macro_f1", lambda t, p: f1_score(t, p, average="macro")),
    ):
        expected = np.quantile([oracle(target[i], predicted[i]) for i in drawn], [0.05, 0.95])
        assert_allclose(found[metric], expected, atol=0.01)


def test_intervals_over_classes_leave_classes_without_images_out() -> None:
    assert macro_intervals(np.diag([20, 30, 0]), 0.95, 0) == {
        "balanced_accuracy": (1.0, 1.0),
        "macro_f1": (1.0, 1.0),
    }
    assert np.isnan(macro_intervals(np.zeros((3, 3), dtype=np.int64), 0.95, 0)["macro_f1"]).all()


def test_a_paired_bootstrap_keeps_pairs_together() -> None:
    """A constant shift of every image is known exactly, however much the images differ."""
    values = np.random.default_rng(0).normal(0, 5, 50)
    for statistic in (np.mean, np.median):
        assert_allclose(paired_bootstrap_interval(values + 2, values, statistic, 0.95, 0), (2, 2))
    other = np.random.default_rng(1).normal(0, 5, 50)
    assert paired_bootstrap_interval(values, other, np.mean, 0.95, 0) == pytest.approx(
        bootstrap_interval(values - other, np.mean, 0.95, 0), abs=0.4
    )
