"""Contrast, fidelity in SDs, position: by hand, at their limits, and how often their intervals miss the truth."""

import math

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from case_monitor.domain.policy import Policy, Threshold
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures.contrast import contrast_summaries
from case_monitor.judging.rules import rule_outcomes
from case_monitor.judging.same_answers import _in_units, logit_difference
from case_monitor.judging.statistics.effects import standardised_mean
from case_monitor.judging.statistics.intervals import (
    pair_mean_interval,
    standardised_mean_interval,
    wilson_interval,
)

NAN = float("nan")


def scores(values: dict[tuple[str, str], list[float] | np.ndarray], target: list[int] | None = None) -> SampleScores:
    arrays = {key: np.asarray(of, dtype=np.float64) for key, of in values.items()}
    n = len(next(iter(arrays.values())))
    zeros = np.zeros(n, dtype=np.int64)
    return SampleScores(
        sample_ids=tuple(map(str, range(n))),
        target=zeros if target is None else np.array(target),
        top2=zeros + 1,
        confidence=np.ones(n),
        values=arrays,
    )


def of_pairs(c: list[float] | np.ndarray, one_sided: list[float] | None = None) -> dict[str, MetricSummary]:
    found = scores({("", "pair_margin"): c, ("", "pair_one_sided"): one_sided or [0.0] * len(c)})
    return {row.metric: row for row in contrast_summaries(found, 0.95)}


def statuses(*rows: MetricSummary, limit: float = 0.85, greater: bool = True) -> list[tuple[Status, str]]:
    method = rows[0].method or None
    threshold = Threshold(metric=rows[0].metric, limit=limit, greater_is_better=greater, method=method)
    policy = Policy(gate_method="case", thresholds=(threshold,))
    results = rule_outcomes(policy.rules, rows, policy, 2, in_production=False)
    return [(result.status, result.reason) for result in results]


def test_by_hand() -> None:
    """Of five images with c, three are right, one is a tie; of two without, one has nothing for the second class."""
    rows = of_pairs([2.0, 1.0, 3.0, 0.0, -1.0, NAN, NAN], [0, 0, 0, 0, 0, 1, 0])
    row = rows["pair_contrast"]
    assert row.value == pytest.approx(3.5 / 5)
    assert (row.n, row.n_undefined) == (5, 2)
    assert row.undefined_because == "no pixel speaks for the second class (1); empty or constant map (1)"
    # Wilson by hand: (0.7 + z2/10 +- z sqrt(0.7 * 0.3 / 5 + z2/100)) / (1 + z2/5), z2 = 3.8415
    centre, reach, scale = 0.7 + 0.38415, 1.95996 * math.sqrt(0.042 + 0.038415), 1 + 0.76829
    assert (row.ci_low, row.ci_high) == (
        pytest.approx((centre - reach) / scale, abs=1e-4),
        pytest.approx((centre + reach) / scale, abs=1e-4),
    )
    assert row.sd == pytest.approx(math.sqrt(10 / 4))  # of 2, 1, 3, 0, -1
    assert row.effect_size == pytest.approx(1 / math.sqrt(2.5))
    assert (rows["pair_contrast_one_sided_rate"].value, rows["pair_contrast_one_sided_rate"].n) == (
        pytest.approx(1 / 7),
        7,
    )
    assert (rows["pair_contrast_tie_rate"].value, rows["pair_contrast_tie_rate"].n) == (pytest.approx(1 / 5), 5)


@pytest.mark.parametrize(("sign", "value"), [(1.0, 1.0), (-1.0, 0.0), (0.0, 0.5)])
def test_its_own_oracle_is_one_swapped_maps_are_none_the_same_map_is_a_half(sign: float, value: float) -> None:
    c = sign * np.random.default_rng(0).gamma(2, 1, 200)
    row = of_pairs(c)["pair_contrast"]
    assert row.value == value
    [(status, reason)] = statuses(row)
    assert status is {1.0: Status.PASS, -1.0: Status.FAIL, 0.0: Status.INSUFFICIENT}[sign]
    if not sign:
        assert "ties in 200 of 200" in reason
        assert math.isnan(row.effect_size)


def test_swapped_maps_mirror_the_figure() -> None:
    c = np.random.default_rng(1).normal(0.5, 1, 300).round(1)
    there, back = (of_pairs(of)["pair_contrast"] for of in (c, -c))
    assert (c == 0).any()
    assert there.value == pytest.approx(1 - back.value)
    assert_allclose([there.ci_low, there.ci_high], [1 - back.ci_high, 1 - back.ci_low], atol=1e-12)
    assert there.effect_size == pytest.approx(-back.effect_size)
    scaled = of_pairs(1000 * c)["pair_contrast"]
    assert (scaled.value, scaled.ci_low) == (there.value, there.ci_low)
    assert scaled.effect_size == pytest.approx(there.effect_size)


@pytest.mark.parametrize(("ties", "judged"), [(40, True), (41, False)])
def test_over_a_fifth_of_ties_is_insufficient(ties: int, judged: bool) -> None:
    row = of_pairs([0.0] * ties + [1.0] * (200 - ties))["pair_contrast"]
    assert math.isfinite(row.ci_low) is judged
    [(status, reason)] = statuses(row, limit=0.5)
    assert (status is Status.PASS) is judged
    assert judged or f"ties in {ties} of 200: both maps mark the same pixels" in reason


@pytest.mark.parametrize(
    ("defined", "one_sided", "status"),
    [
        (100, 100, Status.PASS),
        (100, 101, Status.INSUFFICIENT),
        (99, 0, Status.INSUFFICIENT),
        (100, 0, Status.PASS),
        (0, 150, Status.INSUFFICIENT),
        (0, 0, Status.INSUFFICIENT),
    ],
)
def test_too_few_with_evidence_for_both_are_insufficient(defined: int, one_sided: int, status: Status) -> None:
    rng = np.random.default_rng(0)
    row = of_pairs([*rng.gamma(2, 1, defined), *[NAN] * one_sided], [0.0] * defined + [1.0] * one_sided)[
        "pair_contrast"
    ]
    [(found, reason)] = statuses(row)
    assert found is status, reason
    if one_sided > defined:
        assert "no pixel speaks for the second class" in reason


def test_what_is_shown_has_figures_of_its_method_alone() -> None:
    found = scores(
        {
            ("", "pair_margin"): [1.0, -1.0],
            ("", "pair_one_sided"): [0.0, 0.0],
            ("layercam", "shown_margin"): [1.0, 2.0],
            ("layercam", "shown_one_sided"): [0.0, 0.0],
            ("layercam", "fidelity_margin"): [-1.0, NAN],
        }
    )
    rows = {(row.metric, row.method): row for row in contrast_summaries(found, 0.95)}
    assert {key for key in rows if "rate" not in key[0]} == {
        ("pair_contrast", ""),
        ("shown_contrast", "layercam"),
        ("fidelity_dz", "layercam"),
    }
    layercam = rows["fidelity_dz", "layercam"]
    assert (layercam.n, layercam.n_undefined, layercam.undefined_because) == (1, 1, "empty or constant map")
    assert math.isnan(layercam.value)
    assert found.shown == "layercam"


def test_scores_that_were_stored_without_have_no_figures() -> None:
    found = scores({("case", "agreement"): [0.1]})
    assert contrast_summaries(found, 0.95) == ()
    assert found.shown is None


def test_fidelity_by_hand() -> None:
    """f = 1, 2, 3: d = 2 / 1; 2 +- 1.96 sqrt(1/3 + 4/6)."""
    (row,) = contrast_summaries(scores({("case", "fidelity_margin"): [1.0, 2.0, 3.0]}), 0.95)
    assert (row.value, row.sd) == (pytest.approx(2), pytest.approx(1))
    assert (row.ci_low, row.ci_high) == (pytest.approx(2 - 1.95996, abs=1e-5), pytest.approx(2 + 1.95996, abs=1e-5))


@pytest.mark.parametrize("f", [[], [1.0], [0.0] * 200, [0.3] * 200, [0.1 + 1e-17, *[0.1] * 199]])
def test_without_a_spread_there_is_no_fidelity(f: list[float]) -> None:
    (row,) = contrast_summaries(scores({("case", "fidelity_margin"): f}), 0.95)
    assert np.isnan([row.value, row.ci_low, row.ci_high]).all()
    assert statuses(row, limit=0.3)[0][0] is Status.INSUFFICIENT


def test_position_is_of_all_images_and_of_those_of_each_class() -> None:
    found = scores({("", "position"): [0.2, 0.4, 0.6], ("", "class_position"): [1.0, 0.5, NAN]}, target=[4, 4, 7])
    rows = {row.class_idx: row for row in contrast_summaries(found, 0.95)}
    assert rows[None].value == pytest.approx(0.4)
    assert (rows[None].ci_low, rows[None].ci_high) == (
        0.0,
        pytest.approx(0.4 + 1.95996 * 2 * 0.2 / math.sqrt(3), abs=1e-5),
    )
    assert (rows[4].value, rows[4].n) == (0.75, 2)
    assert (rows[7].n, rows[7].n_undefined, math.isnan(rows[7].value)) == (0, 1, True)


def test_wilson_is_scipys_where_there_are_no_ties() -> None:
    for successes, n in ((0, 7), (7, 7), (3, 7), (90, 100), (499, 500)):
        expected = stats.binomtest(successes, n).proportion_ci(0.9, method="wilson")
        assert wilson_interval(successes, n, 0.9) == (expected.low, expected.high)


# Coverage: 2500 draws, so that 5% shows as 4.1% to 5.9%.
DRAWS, N = 2500, 120


def test_wilsons_interval_under_chance_with_ties() -> None:
    """Maps that know nothing: right, wrong or, in a tenth, a tie. It is a little too wide, never too narrow."""
    rng = np.random.default_rng(0)
    wins = rng.multinomial(N, [0.45, 0.45, 0.1], DRAWS) @ [1.0, 0.0, 0.5]
    intervals = np.array([wilson_interval(w, N, 0.95) for w in wins])
    missed = ((intervals[:, 0] > 0.5) | (intervals[:, 1] < 0.5)).mean()
    assert 0.02 < missed < 0.055


@pytest.mark.parametrize("d", [0.0, 0.3, 1.0])
def test_the_interval_of_fidelity(d: float) -> None:
    f = np.random.default_rng(1).normal(d, 1, (DRAWS, N))
    found = [(standardised_mean_interval(standardised_mean(of), N, 0.95)) for of in f]
    missed = np.mean([not low <= d <= high for low, high in found])
    assert 0.035 < missed < 0.065


def test_the_interval_of_a_mean_over_pairs() -> None:
    """h(x, y) = x y of uniform x has the mean 1/4; each x has its part in n - 1 pairs."""
    rng, missed = np.random.default_rng(2), 0
    for _ in range(DRAWS):
        x = rng.random(N)
        of_each = x * (x.sum() - x) / (N - 1)
        low, high = pair_mean_interval(of_each, 0.95)
        missed += not low <= 0.25 <= high
    assert 0.035 < missed / DRAWS < 0.065
    assert np.isnan(pair_mean_interval(np.array([0.5]), 0.95)).all()


def logits(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_the_largest_change_of_a_logit_is_what_was_seen() -> None:
    first = logits([1, 2], [3, 4], [np.nan, 0])
    row = logit_difference(first, first + np.float32([[0, 0.25], [-0.5, 0], [0, 0]]))
    assert (row.value, row.ci_low, row.ci_high, row.n, row.n_undefined) == (0.5, 0.5, 0.5, 2, 1)
    assert statuses(row, limit=0.6, greater=False)[0][0] is Status.PASS, "two images are as many as there are"
    assert statuses(row, limit=0.01, greater=False)[0][0] is not Status.PASS


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (logits([1, 2]), logits([1, np.nan])),
        (logits([np.inf, 2], [1, 1]), logits([1, 2], [1, 1])),
        (logits([np.nan, 2]), logits([np.nan, 2])),
        (np.empty((0, 2), np.float32), np.empty((0, 2), np.float32)),
    ],
)
def test_a_logit_that_is_no_number_cannot_pass(first: np.ndarray, second: np.ndarray) -> None:
    row = logit_difference(first, second)
    assert math.isnan(row.value)
    assert statuses(row, limit=0.01, greater=False)[0][0] is Status.INSUFFICIENT


def test_what_small_and_large_logits_are_compared_by() -> None:
    """In units of their RMS distance r from each image's mean where r < 1, and of r / 100 where r > 100."""
    logits = np.array([[1.0, -1.0], [-1.0, 1.0]], dtype=np.float32)  # r = 1
    for scale, unit in ((1e-4, 1e-4), (1.0, 1.0), (100.0, 1.0), (1e5, 1e3)):
        first, second = _in_units(logits * np.float32(scale), logits * np.float32(1.5 * scale))
        assert_allclose(first, logits * scale / unit, rtol=1e-6)
        assert_allclose(second, 1.5 * logits * scale / unit, rtol=1e-6)
    nothing = np.zeros((2, 2), dtype=np.float32)
    assert _in_units(nothing, logits)[1] is logits
    broken = np.array([[np.nan, 1.0], [1e-3, -1e-3]], dtype=np.float32)
    assert_allclose(_in_units(broken, broken)[0][1], [1.0, -1.0], rtol=1e-6)
