"""Figures from scores: n, undefined, SD, intervals, tests and their Holm families."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats
from statsmodels.stats.multitest import multipletests

from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.confusion import class_metrics
from case_monitor.judging.figures.of_one_version import explained_share, explanation_summaries, model_summaries
from case_monitor.judging.statistics.effects import rate_difference_effect
from case_monitor.judging.statistics.intervals import bootstrap_interval
from tests.support.sources import predictions
from tests.support.whole import confusion_matrix

METHODS = ("case", "gradcam", "layercam")
PROTOCOL = Protocol(methods=METHODS, areas=(0.5,), seed=3)
N = 60


def scores() -> SampleScores:
    rng = np.random.default_rng(0)
    values = {}
    for i, method in enumerate(METHODS):
        values[method, "agreement"] = rng.beta(2 + i, 4, N)
        values[method, "confidence_drop_50"] = rng.normal(0.3 - 0.05 * i, 0.2, N)
        values[method, "random_drop_50"] = rng.normal(0.2, 0.2, N)
    values["gradcam", "agreement"][:7] = np.nan
    values["gradcam", "confidence_drop_50"][:5] = np.nan
    values["gradcam", "random_drop_50"][:5] = np.nan
    values["random", "agreement"] = rng.beta(2, 30, N)
    target = np.arange(N) % 3
    target[target == 2] = 3  # no image of class 2 is classified correctly
    return SampleScores(
        sample_ids=tuple(map(str, range(N))),
        target=target,
        top2=(target + 1) % 4,
        confidence=rng.uniform(0.5, 1, N),
        values=values,
    )


SCORES = scores()
ROWS = explanation_summaries(SCORES, PROTOCOL, Policy(confidence_level=0.9))


def row(metric: str, method: str, class_idx: int | None = None) -> MetricSummary:
    (found,) = (r for r in ROWS if (r.metric, r.method, r.class_idx) == (metric, method, class_idx))
    return found


def test_no_figure_appears_twice() -> None:
    assert len({(r.metric, r.method, r.class_idx) for r in ROWS}) == len(ROWS)


def test_agreement_of_a_method_with_undefined_scores() -> None:
    values = SCORES.values["gradcam", "agreement"][7:]
    for metric, statistic in (("agreement_mean", np.mean), ("agreement_median", np.median)):
        found = row(metric, "gradcam")
        assert (found.n, found.n_undefined) == (53, 7)
        assert found.value == pytest.approx(statistic(values))
        assert found.sd == pytest.approx(np.std(values, ddof=1))
        assert (found.ci_low, found.ci_high) == bootstrap_interval(values, statistic, 0.9, 3)


def test_the_median_is_tested_by_wilcoxon_with_holm_over_the_methods() -> None:
    p_values = []
    for method in METHODS:
        values = SCORES.values[method, "agreement"]
        p = stats.wilcoxon((values[np.isfinite(values)] - 0.5).round(9), alternative="less").pvalue
        assert row("agreement_median", method).p_value == pytest.approx(p)
        p_values.append(p)
    adjusted = [row("agreement_median", method).p_adjusted for method in METHODS]
    assert_allclose(adjusted, multipletests(p_values, method="holm")[1])
    assert adjusted[0] > p_values[0]


def test_the_degenerate_rate_is_over_all_images() -> None:
    found = row("agreement_degenerate_rate", "gradcam")
    assert (found.value, found.n) == (pytest.approx(7 / 60), 60)
    assert found.ci_low < 7 / 60 < found.ci_high
    assert row("agreement_degenerate_rate", "case").value == 0
    assert row("agreement_degenerate_rate", "case").ci_high > 0


def test_chance_is_the_agreement_of_random_maps() -> None:
    assert row("agreement_mean", "random").value == pytest.approx(SCORES.values["random", "agreement"].mean())


def test_drops_are_reported_signed_absolute_and_relative() -> None:
    drop = SCORES.values["layercam", "confidence_drop_50"]
    assert (drop < 0).any()
    assert row("confidence_drop_50", "layercam").value == pytest.approx(drop.mean())
    assert row("abs_confidence_drop_50", "layercam").value == pytest.approx(np.abs(drop).mean())
    relative = np.where(drop > 0, drop, 0) / SCORES.confidence
    assert row("relative_confidence_drop_50", "layercam").value == pytest.approx(relative.mean())


@pytest.mark.parametrize(
    ("metric", "side", "methods", "other"),
    [
        ("confidence_drop_50_vs_random", "greater", METHODS, None),
        ("confidence_drop_50_vs_case", "two-sided", METHODS[1:], "case"),
        ("confidence_drop_50_below_case", "less", METHODS[1:], "case"),
    ],
)
def test_paired_tests_are_on_the_same_images_with_holm_over_the_methods(
    metric: str, side: str, methods: tuple[str, ...], other: str | None
) -> None:
    p_values = []
    for method in methods:
        drop = SCORES.values[method, "confidence_drop_50"]
        control = SCORES.values[(other, "confidence_drop_50") if other else (method, "random_drop_50")]
        difference = (drop - control)[np.isfinite(drop - control)]
        found = row(metric, method)
        assert (found.n, found.n_undefined) == (len(difference), N - len(difference))
        assert found.value == pytest.approx(difference.mean())
        assert found.p_value == pytest.approx(stats.ttest_1samp(difference, 0, alternative=side).pvalue)
        assert (found.ci_low, found.ci_high) == bootstrap_interval(difference, np.mean, 0.9, 3)
        p_values.append(found.p_value)
    assert_allclose([row(metric, m).p_adjusted for m in methods], multipletests(p_values, method="holm")[1])


def test_case_is_not_compared_with_itself() -> None:
    assert not [r for r in ROWS if r.method == "case" and r.metric.endswith("_case")]


def test_classes_are_summarised_by_the_true_class() -> None:
    values = SCORES.values["case", "agreement"]
    for u in (0, 1, 3):
        assert row("agreement_median", "case", u).value == pytest.approx(np.median(values[SCORES.target == u]))
        assert row("agreement_median", "case", u).n == 20
    drop = SCORES.values["case", "confidence_drop_50"][SCORES.target == 3]
    assert row("confidence_drop_50", "case", 3).value == pytest.approx(drop.mean())


def test_of_no_image_everything_is_undefined() -> None:
    empty = SampleScores(
        sample_ids=(),
        target=np.empty(0, dtype=np.int64),
        top2=np.empty(0, dtype=np.int64),
        confidence=np.empty(0),
        values={key: np.empty(0) for key in SCORES.values},
    )
    rows = explanation_summaries(empty, PROTOCOL, Policy())
    assert {r.metric for r in rows} == {r.metric for r in ROWS}
    for r in rows:
        assert r.n == 0
        assert np.isnan([r.value, r.ci_low, r.ci_high, r.sd, r.p_value, r.p_adjusted, r.effect_size]).all()


@pytest.mark.parametrize("n", [0, 1, 4, 5])
def test_too_few_images_have_no_interval(n: int) -> None:
    cut = SampleScores(
        sample_ids=SCORES.sample_ids[:n],
        target=SCORES.target[:n],
        top2=SCORES.top2[:n],
        confidence=SCORES.confidence[:n],
        values={key: values[:n] for key, values in SCORES.values.items()},
    )
    rows = explanation_summaries(cut, PROTOCOL, Policy())
    (median,) = (r for r in rows if (r.metric, r.method, r.class_idx) == ("agreement_median", "case", None))
    assert np.isfinite(median.ci_low) == (n >= 5)


def test_the_models_own_figures() -> None:
    preds = predictions(np.eye(3)[[0, 0, 1, 1, 0]], [0, 0, 0, 1, 1])
    confmat = confusion_matrix(preds, 3)
    rows = {
        (r.metric, r.class_idx): r
        for r in model_summaries(confmat, class_metrics(confmat, np.zeros(3), 0.95), 0, Policy(), seed=0)
    }
    assert rows["accuracy", None].value == pytest.approx(0.6)
    assert rows["balanced_accuracy", None].value == pytest.approx((2 / 3 + 1 / 2) / 2)
    for metric in ("accuracy", "skill", "balanced_accuracy", "macro_f1"):
        assert (rows[metric, None].n, rows[metric, None].n_undefined) == (5, 0)
    assert rows["skill", None].value == pytest.approx(0)  # three of five images are of class 0
    assert rows["macro_f1", None].value == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert rows["recall", 0].value == pytest.approx(2 / 3)
    assert rows["recall", 0].n == 3
    assert np.isnan(rows["recall", 2].value)


def skill_of(target: list[int], predicted: list[int], broken: int = 0) -> MetricSummary:
    confmat = confusion_matrix(predictions(np.eye(3)[predicted], target), 3)
    rows = model_summaries(confmat, class_metrics(confmat, np.zeros(3), 0.95), broken, Policy(), seed=0)
    (found,) = (r for r in rows if r.metric == "skill")
    return found


def test_skill_is_what_accuracy_gains_over_always_answering_the_most_frequent_class() -> None:
    """90 of 100 right where 60 are of one class: (0.9 - 0.6) / 0.4; Wilson's interval is 0.8256 to 0.9448."""
    target = [0] * 60 + [1] * 40
    found = skill_of(target, [0] * 55 + [1] * 40 + [0] * 5, broken=2)
    assert found.value == pytest.approx(0.75)
    assert (found.ci_low, found.ci_high) == (pytest.approx(0.5641, abs=1e-4), pytest.approx(0.8619, abs=1e-4))
    assert (found.n, found.n_undefined, found.undefined_because) == (100, 2, "NaN or infinite logits")
    assert found.effect_size == pytest.approx(rate_difference_effect(0.9, 0.6))
    constant = skill_of(target, [0] * 100)
    assert constant.value == pytest.approx(0)
    assert constant.ci_low < 0 < constant.ci_high
    assert skill_of(target, target).value == 1
    assert skill_of(target, [2] * 100).value == pytest.approx(-1.5)  # below the range of limits, and still said


def test_of_one_class_alone_there_is_no_skill() -> None:
    found = skill_of([1] * 30, [1] * 30)
    assert np.isnan([found.value, found.ci_low, found.ci_high, found.effect_size]).all()
    assert (found.n, found.n_undefined, found.undefined_because) == (0, 30, "all images are of one class")
    none = skill_of([], [])
    assert np.isnan(none.value)
    assert none.n == 0


@pytest.mark.parametrize(("split_size", "drawn"), [(1000, 500), (80, 80)])
def test_how_many_of_the_drawn_images_are_explained_is_a_figure_too(split_size: int, drawn: int) -> None:
    found = explained_share(SCORES, split_size, Protocol(sample_size=500), Policy())
    assert (found.metric, found.method, found.value, found.n) == ("explained", "", pytest.approx(60 / drawn), drawn)
    assert found.ci_low < 60 / drawn < found.ci_high
