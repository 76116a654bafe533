"""Candidate against baseline by hand."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.stats.multitest import multipletests

from case_monitor.domain.contrast_sets import ContrastMember, ContrastSets, ContrastSource
from case_monitor.domain.errors import DataError
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures.between_versions import Measured, comparison_summaries
from case_monitor.judging.figures.contrast_set_overlap import jaccard
from case_monitor.judging.statistics.intervals import bootstrap_interval, newcombe_paired_interval
from tests.support.sources import predictions

PROTOCOL = Protocol(methods=("case", "gradcam"), areas=(0.5,), seed=3)
N = 40


def right_on(right: list[int], n: int = N) -> Predictions:
    """Two classes, all images of class 0 but the last ten."""
    target = np.arange(n) >= n - 10
    wrong = ~np.isin(np.arange(n), right)
    return predictions(np.eye(2)[(target ^ wrong).astype(int)], target)


def contrasts(*sets: set[int], unseen: tuple[int, ...] = ()) -> ContrastSets:
    def member(u: int, rank: int, v: int) -> ContrastMember:
        return ContrastMember(target_class=u, rank=rank, class_idx=v, source=ContrastSource.SOFT, count=0, weight=0.1)

    members = tuple(tuple(member(u, r, v) for r, v in enumerate(sorted(vs))) for u, vs in enumerate(sets))
    return ContrastSets(contrast_k=2, members=members, unseen=unseen)


def scores(of: list[int], seed: int, shift: float = 0.0) -> SampleScores:
    """Scores that depend on the image's number, whatever other images there are."""
    rng = np.random.default_rng(seed)
    keys = [(m, s) for m in PROTOCOL.methods for s in ("agreement", "confidence_drop_50")]
    values = {key: (rng.beta(2, 3, N) + shift)[of] for key in keys}
    names = predictions(np.zeros((N, 2)), np.zeros(N)).sample_ids
    zeros = np.zeros(len(of), dtype=np.int64)
    return SampleScores(
        sample_ids=tuple(names[i] for i in of),
        target=zeros,
        top2=zeros + 1,
        confidence=np.ones(len(of)),
        values=values,
    )


def measured(right: list[int], seed: int = 0, shift: float = 0.0) -> Measured:
    return Measured(preds=right_on(right), contrasts=contrasts({1}, {0}), scores=scores(right, seed, shift))


def compared(
    candidate: Measured, baseline: Measured, drift: dict[str, np.ndarray] | None = None, level: float = 0.9
) -> dict[tuple, MetricSummary]:
    rows = comparison_summaries(candidate, baseline, drift or {}, PROTOCOL, level)
    found = {(r.metric, r.method, r.class_idx): r for r in rows}
    assert len(found) == len(rows)
    return found


def test_the_difference_of_accuracies_is_candidate_minus_baseline() -> None:
    """Candidate right on 0..29, baseline on 25..31: 25 gained, 2 lost, 5 both, 8 neither."""
    row = compared(measured(list(range(30))), measured(list(range(25, 32))))["accuracy_vs_baseline", "", None]
    assert row.value == pytest.approx(23 / 40)
    assert row.n == 40
    assert (row.ci_low, row.ci_high) == newcombe_paired_interval(5, 25, 2, 8, 0.9)
    assert row.ci_low < row.value < row.ci_high
    assert row.p_value == pytest.approx(stats.binomtest(2, 27).pvalue)
    assert row.effect_size == pytest.approx(23 / 27)
    assert row.sd == pytest.approx(np.std([1] * 25 + [-1] * 2 + [0] * 13, ddof=1))


def test_the_difference_of_recalls_is_per_class_with_a_false_discovery_rate() -> None:
    """Class 1 is images 30 to 39: the candidate has 30 to 35 of them, the baseline 30 to 39."""
    rows = compared(measured(list(range(36))), measured(list(range(20, 40))))
    first, second = (rows["recall_vs_baseline", "", u] for u in (0, 1))
    assert (first.value, first.n) == (pytest.approx(20 / 30), 30)
    assert (second.value, second.n) == (pytest.approx(-4 / 10), 10)
    assert (second.ci_low, second.ci_high) == newcombe_paired_interval(6, 0, 4, 0, 0.9)
    raw = [first.p_value, second.p_value]
    assert_allclose([first.p_adjusted, second.p_adjusted], multipletests(raw, method="fdr_bh")[1])


def test_a_class_without_images_has_no_difference() -> None:
    preds = predictions(np.eye(2)[np.zeros(6, dtype=int)], np.zeros(6))
    one = replace(measured([]), preds=preds, contrasts=contrasts({1}, set(), unseen=(1,)))
    rows = compared(one, one)
    assert (rows["recall_vs_baseline", "", 1].n, rows["recall_vs_baseline", "", 1].undefined_because) == (
        0,
        "class without an image",
    )
    assert np.isnan(rows["recall_vs_baseline", "", 1].value)
    assert np.isnan(rows["contrast_jaccard", "", 1].value)
    assert rows["contrast_jaccard", "", None].n_undefined == 1


def test_a_version_against_itself_differs_by_nothing_with_an_interval_and_without_p() -> None:
    one = measured(list(range(30)))
    rows = compared(one, one, level=0.95)
    row = rows["accuracy_vs_baseline", "", None]
    assert row.value == 0
    assert row.ci_low < 0 < row.ci_high
    assert np.isnan(row.p_value)
    agreement = rows["agreement_median_vs_baseline", "case", None]
    assert (agreement.value, agreement.ci_low, agreement.ci_high) == (0, 0, 0)
    assert np.isnan(agreement.p_value)


def test_scores_are_compared_on_the_images_that_both_versions_get_right() -> None:
    """Both right on 10..29; the scores of the same image differ by 0.1 and some noise."""
    candidate, baseline = measured(list(range(30)), 0, 0.1), measured(list(range(10, 40)), 1)
    rows = compared(candidate, baseline)
    p_values = []
    for method in PROTOCOL.methods:
        first = candidate.scores.values[method, "confidence_drop_50"][10:]
        second = baseline.scores.values[method, "confidence_drop_50"][:20]
        row = rows["confidence_drop_50_vs_baseline", method, None]
        assert row.n == 20
        assert row.value == pytest.approx((first - second).mean())
        assert_allclose((row.ci_low, row.ci_high), bootstrap_interval(first - second, np.mean, 0.9, 3), atol=0.02)
        assert row.p_value == pytest.approx(stats.ttest_rel(first, second).pvalue)
        p_values.append(row.p_value)
    adjusted = [rows["confidence_drop_50_vs_baseline", m, None].p_adjusted for m in PROTOCOL.methods]
    assert_allclose(adjusted, multipletests(p_values, method="holm")[1])
    first, second = candidate.scores.values["case", "agreement"][10:], baseline.scores.values["case", "agreement"][:20]
    median = rows["agreement_median_vs_baseline", "case", None]
    assert median.value == pytest.approx(np.median(first) - np.median(second))
    assert median.ci_low < median.value < median.ci_high
    assert rows["agreement_mean_vs_baseline", "case", None].value == pytest.approx((first - second).mean())


def test_an_undefined_score_of_either_version_leaves_the_image_out() -> None:
    candidate, baseline = measured(list(range(30)), 0), measured(list(range(30)), 1)
    candidate.scores.values["case", "agreement"][:3] = np.nan
    baseline.scores.values["case", "agreement"][2:5] = np.nan
    row = compared(candidate, baseline)["agreement_mean_vs_baseline", "case", None]
    assert (row.n, row.n_undefined, row.undefined_because) == (25, 5, "empty or constant map")


def test_versions_with_no_right_image_in_common_have_undefined_differences() -> None:
    row = compared(measured(list(range(10))), measured(list(range(20, 30))))["agreement_mean_vs_baseline", "case", None]
    assert row.n == 0
    assert np.isnan([row.value, row.ci_low, row.ci_high, row.p_value]).all()


def test_explanation_drift_is_the_mean_agreement_of_the_maps() -> None:
    values = np.array([1.0, 0.5, 0.25, np.nan, 0.75, 0.5])
    one = measured(list(range(6)))
    row = compared(one, one, {"case": values})["baseline_agreement", "case", None]
    assert (row.value, row.n, row.n_undefined) == (pytest.approx(0.6), 5, 1)
    assert row.ci_low < 0.6 < row.ci_high
    assert row.effect_size == pytest.approx((0.6 - 1) / row.sd)


def test_contrast_sets_are_compared_class_by_class() -> None:
    candidate = replace(measured([]), contrasts=contrasts({1, 2}, {0, 2}, {0, 1}))
    baseline = replace(measured([]), contrasts=contrasts({1, 2}, {2}, set()))
    rows = compared(candidate, baseline)
    assert [rows["contrast_jaccard", "", u].value for u in range(3)] == [1, 0.5, 0]
    assert rows["contrast_jaccard", "", None].value == pytest.approx(0.5)


def test_two_empty_contrast_sets_are_equal() -> None:
    assert jaccard(set(), set()) == 1
    assert jaccard({1}, set()) == 0


def test_logits_that_are_not_finite_leave_the_comparison_undefined() -> None:
    one = measured(list(range(30)))
    broken = one.preds.logits.copy()
    broken[0, 0] = np.inf
    other = replace(one, preds=replace(one.preds, logits=broken))
    for pair in ((one, other), (other, one)):
        rows = compared(*pair)
        row = rows["accuracy_vs_baseline", "", None]
        assert np.isnan([row.value, row.ci_low, row.ci_high]).all()
        assert (row.n, row.n_undefined, row.undefined_because) == (39, 1, "NaN or infinite logits")
        assert rows["recall_vs_baseline", "", 1].value == 0


def test_other_images_or_targets_are_refused() -> None:
    one = measured([0])
    for other in (
        replace(one.preds, sample_ids=tuple(reversed(one.preds.sample_ids))),
        replace(one.preds, target=1 - one.preds.target),
        right_on([0], n=39),
    ):
        with pytest.raises(DataError, match="predictions on the candidate's images"):
            compared(one, replace(one, preds=other))


def with_contrast(of: Measured, c: list[float], method: str = "case") -> Measured:
    """c of the explained images, the same for the pair and for what is shown."""
    values = {("", "pair_margin"): np.array(c), (method, "shown_margin"): np.array(c)}
    return replace(of, scores=replace(of.scores, values=of.scores.values | values))


def test_the_difference_of_contrasts_is_over_the_images_that_both_have() -> None:
    """Of 10 images one has no c. 4 are right in both, 2 gained, 1 lost, 1 wrong in both, and 1 a tie that was right."""
    candidate = with_contrast(measured(list(range(10))), [1, 1, 1, 1, 2, 2, -1, -1, 0, np.nan])
    baseline = with_contrast(measured(list(range(10)), seed=1), [1, 1, 1, 3, -1, -2, 1, -1, 1, 1])
    rows = compared(candidate, baseline)
    for key in (("pair_contrast_vs_baseline", "", None), ("shown_contrast_vs_baseline", "case", None)):
        row = rows[key]
        assert row.value == pytest.approx((2 - 1 - 0.5) / 9)
        assert (row.n, row.n_undefined) == (9, 1)
        assert (row.ci_low, row.ci_high) == newcombe_paired_interval(4.5, 2, 1.5, 1, 0.9)
        assert row.ci_low < row.value < row.ci_high
        assert row.p_value == pytest.approx(stats.binomtest(2, 4).pvalue)
        assert row.undefined_because == "to one of the two versions, no pixel speaks for a class"


@pytest.mark.parametrize(
    ("ours", "theirs", "alike"),
    [
        ("case", "gradcam", True),  # the layer's map, whichever method is shown
        ("occlusion", "occlusion", True),
        ("occlusion", "case", False),
        ("case", "occlusion", False),
    ],
)
def test_pair_maps_of_two_kinds_are_not_compared(ours: str, theirs: str, alike: bool) -> None:
    candidate, baseline = (
        with_contrast(measured(list(range(10)), seed), [1.0] * 9 + [-1.0], shown)
        for seed, shown in enumerate((ours, theirs))
    )
    assert (("pair_contrast_vs_baseline", "", None) in compared(candidate, baseline)) == alike


def test_the_same_version_again_has_the_same_contrast() -> None:
    one = with_contrast(measured(list(range(30))), [1.0] * 25 + [-1.0] * 5)
    row = compared(one, one)["pair_contrast_vs_baseline", "", None]
    assert (row.value, row.n) == (0, 30)
    assert row.ci_low < 0 < row.ci_high, "none of 30 differs, and yet some of the rest may"


def test_too_many_ties_in_either_are_no_comparison() -> None:
    right, tied = [1.0] * 30, [0.0] * 7 + [1.0] * 23
    for ours, theirs in ((right, tied), (tied, right)):
        of = [with_contrast(measured(list(range(30))), c) for c in (ours, theirs)]
        row = compared(*of)["pair_contrast_vs_baseline", "", None]
        assert np.isnan([row.ci_low, row.ci_high]).all()


def test_contrasts_of_two_shown_methods_or_of_none_are_not_compared() -> None:
    ours, theirs = (with_contrast(measured([0, 1, 2]), [1.0] * 3, method) for method in ("case", "gradcam"))
    rows = compared(ours, theirs)
    assert ("pair_contrast_vs_baseline", "", None) in rows
    assert not [key for key in rows if key[0] == "shown_contrast_vs_baseline"]
    assert not [key for key in compared(ours, measured([0, 1, 2])) if "contrast_vs" in key[0]]


def test_contrasts_beside_a_broken_pass_are_not_compared() -> None:
    one = with_contrast(measured(list(range(30))), [1.0] * 30)
    broken = replace(one, scores=replace(one.scores, broken_passes=np.eye(1, 30, dtype=np.int64)[0]))
    for pair in ((one, broken), (broken, one)):
        row = compared(*pair)["pair_contrast_vs_baseline", "", None]
        assert np.isnan([row.value, row.ci_low, row.ci_high]).all()
        assert row.undefined_because == "NaN or infinite logits"
