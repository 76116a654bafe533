"""From scores per image to figures with n, interval, p value and effect size (method, RQ1 and RQ2)."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from case_monitor.domain.arrays import UNDEFINED, FloatArray
from case_monitor.domain.confusion_matrix import ClassMetrics, ConfusionMatrix
from case_monitor.domain.diagnostics import RANDOM_MAP, VS_RANDOM, Score, scores_of
from case_monitor.domain.metrics import METRICS, row_of
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures.contrast import contrast_summaries
from case_monitor.judging.figures.means import MEANS, means_by_area
from case_monitor.judging.figures.row import (
    DEGENERATE,
    NO_IMAGE,
    NO_OBJECT,
    NOT_FINITE,
    ONE_CLASS,
    rate_row,
    summary_row,
)
from case_monitor.judging.statistics.adjustment import holm
from case_monitor.judging.statistics.effects import rate_difference_effect
from case_monitor.judging.statistics.hypothesis_tests import Alternative, paired_t_test, wilcoxon_test
from case_monitor.judging.statistics.intervals import macro_intervals


def model_summaries(
    confmat: ConfusionMatrix,
    classes: tuple[ClassMetrics, ...],
    n_undefined: int,
    policy: Policy,
    seed: int,
    constant: float | None = None,
) -> tuple[MetricSummary, ...]:
    """Accuracy, skill, balanced accuracy, macro F1, the recall of every class, and the share of finite logits.

    Args:
        confmat: of the images with finite logits.
        classes: metrics of every class.
        n_undefined: images whose logits are not finite.
        policy: gives the confidence level.
        seed: of the bootstrap.
        constant: the share of images that an answer without looking gets right; None: that of the most frequent class.
    """
    hits, n = int(np.diag(confmat.counts).sum()), int(confmat.counts.sum())
    level, chance = policy.confidence_level, 1 / len(classes)
    if constant is None:
        constant = int(confmat.counts.sum(axis=1).max()) / n if n else UNDEFINED
    accuracy = rate_row(
        "accuracy",
        "",
        hits,
        n,
        confidence_level=level,
        reference=chance,
        n_undefined=n_undefined,
        because=NOT_FINITE,
    )
    return (
        rate_row("finite_logits", "", n, n + n_undefined, confidence_level=level, reference=0.0),
        accuracy,
        _skill(accuracy, constant),
        *_means_over_classes(confmat, classes, level, seed, n_undefined),
        *(_recall(c, chance) for c in classes),
    )


def _skill(accuracy: MetricSummary, constant: float) -> MetricSummary:
    """(accuracy - m) / (1 - m), m the share of the most frequent class: 0 is what always answering that one gives."""
    n = accuracy.n
    if constant == 1:  # nothing can be better than that answer
        return MetricSummary(
            metric="skill",
            method="",
            value=UNDEFINED,
            n=0,
            n_undefined=n + accuracy.n_undefined,
            undefined_because=ONE_CLASS,
        )
    value, low, high = ((x - constant) / (1 - constant) for x in (accuracy.value, accuracy.ci_low, accuracy.ci_high))
    effect = rate_difference_effect(accuracy.value, constant)
    return replace(accuracy, metric="skill", value=value, ci_low=low, ci_high=high, effect_size=effect)


def _recall(c: ClassMetrics, chance: float) -> MetricSummary:
    return MetricSummary(
        metric="recall",
        method="",
        class_idx=c.class_idx,
        value=c.recall,
        n=c.support,
        undefined_because=None if c.support else NO_IMAGE,
        ci_low=c.recall_ci_low,
        ci_high=c.recall_ci_high,
        effect_size=rate_difference_effect(c.recall, chance),
    )


def _means_over_classes(
    confmat: ConfusionMatrix, classes: tuple[ClassMetrics, ...], level: float, seed: int, n_undefined: int
) -> Iterator[MetricSummary]:
    """Over the classes that have images; `n` counts images, as everywhere."""
    recalls, f1s = np.array([c.recall for c in classes]), np.array([c.f1 for c in classes])
    intervals = macro_intervals(confmat.counts, level, seed)
    for metric, values in (("balanced_accuracy", recalls), ("macro_f1", f1s)):
        defined = values[np.isfinite(values)]
        mean = float(defined.mean()) if len(defined) else UNDEFINED
        low, high = intervals[metric]
        yield MetricSummary(
            metric=metric,
            method="",
            value=mean,
            n=int(confmat.counts.sum()),
            n_undefined=n_undefined,
            undefined_because=NOT_FINITE if n_undefined else None,
            ci_low=low,
            ci_high=high,
            effect_size=rate_difference_effect(mean, 1 / len(classes)),
        )


def explained_share(scores: SampleScores, split_size: int, protocol: Protocol, policy: Policy) -> MetricSummary:
    """Of the images drawn from the split: the share that the model classifies correctly, which are explained."""
    drawn = min(protocol.sample_size, split_size)
    explained, level = len(scores.sample_ids), policy.confidence_level
    return rate_row("explained", "", explained, drawn, confidence_level=level, reference=0.0)


def explanation_summaries(scores: SampleScores, protocol: Protocol, policy: Policy) -> tuple[MetricSummary, ...]:
    """Class sensitivity, fidelity and contrast of every method, over all images and per class."""
    summarise = _Summariser(scores, policy.confidence_level, protocol.seed)
    rows = [summarise.finite_passes(), *summarise.sensitivity(protocol.methods), *summarise.chance()]
    for suffix in protocol.suffixes:
        rows += summarise.fidelity(protocol.methods, suffix)
    for score in scores_of(protocol.diagnostics):
        rows += summarise.diagnostic(protocol.methods, score)
    return (*rows, *contrast_summaries(scores, policy.confidence_level))


class _Summariser:
    def __init__(self, scores: SampleScores, confidence_level: float, seed: int) -> None:
        self._scores, self._level, self._seed = scores, confidence_level, seed

    def sensitivity(self, methods: tuple[str, ...]) -> Iterator[MetricSummary]:
        medians, insensitive = [], METRICS["agreement_median"].reference or UNDEFINED
        for method in methods:
            values = self._scores.values[method, "agreement"]
            yield from self._means(method, "")
            yield self._degenerate_rate(method, values)
            median = self._row("agreement_median", method, values, np.median)
            test = wilcoxon_test(values[np.isfinite(values)], insensitive)
            medians.append(replace(median, p_value=test.p_value, effect_size=test.effect_size, test="wilcoxon"))
            yield from self._per_class("agreement_median", method, values, np.median)
        yield from _with_holm(medians)

    def finite_passes(self) -> MetricSummary:
        """The share of the explained images on which the model gave numbers in every pass, masked or not."""
        whole, n = int((~self._scores.broken).sum()), len(self._scores.sample_ids)
        return rate_row("finite_passes", "", whole, n, confidence_level=self._level, reference=0.0)

    def chance(self) -> Iterator[MetricSummary]:
        values = self._scores.values[RANDOM_MAP, "agreement"]
        yield self._row("agreement_mean", RANDOM_MAP, values, np.mean)

    def fidelity(self, methods: tuple[str, ...], suffix: str) -> Iterator[MetricSummary]:
        drop = f"confidence_drop_{suffix}"
        values = {method: self._scores.values[method, drop] for method in methods}
        control = {method: self._scores.values[method, f"random_drop_{suffix}"] for method in methods}
        for method in methods:
            yield from self._means(method, suffix)
        yield from self._paired(f"{drop}_vs_random", values, control, "greater")
        if "case" in methods:
            others = {method: v for method, v in values.items() if method != "case"}
            case = dict.fromkeys(others, values["case"])
            yield from self._paired(f"{drop}_vs_case", others, case, "two-sided")
            yield from self._paired(f"{drop}_below_case", others, case, "less")

    def diagnostic(self, methods: tuple[str, ...], score: Score) -> Iterator[MetricSummary]:
        """The mean of every method and of random maps, and what the one is beyond the other."""
        of = (*methods, RANDOM_MAP) if score.with_random else methods
        values = {method: self._scores.values[method, score.name] for method in of}
        for method in of:
            row = self._rate if score.is_yes_or_no else self._mean
            of_method = row(score.name, method, values[method])
            objects = score.needs_objects and of_method.n_undefined
            yield replace(of_method, undefined_because=NO_OBJECT) if objects else of_method
        if score.is_compared:
            control = values.pop(RANDOM_MAP)
            side: Alternative = "greater" if score.greater_is_better else "less"
            beyond = f"{score.name}{VS_RANDOM}"
            yield from self._paired(beyond, values, dict.fromkeys(values, control), side)

    def _mean(self, metric: str, method: str, values: FloatArray) -> MetricSummary:
        return self._row(metric, method, values, np.mean)

    def _rate(self, metric: str, method: str, values: FloatArray) -> MetricSummary:
        defined = values[np.isfinite(values)]
        yes, undefined = int(defined.sum()), len(values) - len(defined)
        because = DEGENERATE if undefined else None
        return rate_row(
            metric,
            method,
            yes,
            len(defined),
            confidence_level=self._level,
            reference=0.0,
            n_undefined=undefined,
            because=because,
        )

    def _means(self, method: str, suffix: str) -> Iterator[MetricSummary]:
        """Those of one area and fill, or, without a suffix, those that there are once; then the same per class."""
        names = means_by_area(by_area=bool(suffix))
        values = {name: MEANS[name](self._scores, method, suffix) for name in names}
        for name in names:
            yield self._row(name.format(suffix), method, values[name], np.mean)
        for name in names:
            if METRICS[name].per_class:
                yield from self._per_class(name.format(suffix), method, values[name], np.mean)

    def _paired(
        self, metric: str, first: dict[str, FloatArray], second: dict[str, FloatArray], side: Alternative
    ) -> Iterator[MetricSummary]:
        rows = []
        for method in first:
            both = np.isfinite(first[method]) & np.isfinite(second[method])
            test = paired_t_test(first[method][both], second[method][both], side)
            row = self._row(metric, method, first[method] - second[method], np.mean)
            rows.append(replace(row, p_value=test.p_value, effect_size=test.effect_size, test=f"paired-t {side}"))
        yield from _with_holm(rows)

    def _per_class(
        self, metric: str, method: str, values: FloatArray, statistic: Callable[..., FloatArray]
    ) -> Iterator[MetricSummary]:
        for u in np.unique(self._scores.target).tolist():
            of_class = values[self._scores.target == u]
            yield self._row(metric, method, of_class, statistic, class_idx=u)

    def _row(
        self,
        metric: str,
        method: str,
        values: FloatArray,
        statistic: Callable[..., FloatArray],
        *,
        class_idx: int | None = None,
    ) -> MetricSummary:
        reference = row_of(metric).reference
        return summary_row(
            metric,
            method,
            values,
            statistic,
            confidence_level=self._level,
            seed=self._seed,
            reference=UNDEFINED if reference is None else reference,
            class_idx=class_idx,
        )

    def _degenerate_rate(self, method: str, values: FloatArray) -> MetricSummary:
        undefined, n = int(np.isnan(values).sum()), len(values)
        metric = "agreement_degenerate_rate"
        return rate_row(metric, method, undefined, n, confidence_level=self._level, reference=0.0)


def _with_holm(rows: list[MetricSummary]) -> Iterator[MetricSummary]:
    adjusted = holm(np.array([row.p_value for row in rows]))
    for row, p_adjusted in zip(rows, adjusted, strict=True):
        yield replace(row, p_adjusted=float(p_adjusted))
