"""From scores per image to figures with n, interval, p value and effect size (method, RQ1 and RQ2)."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from case_monitor.core.policy import Policy
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import ClassMetrics, ConfusionMatrix, FloatArray, MetricSummary, SampleScores
from case_monitor.core.statistics import (
    Alternative,
    bootstrap_interval,
    holm,
    paired_t_test,
    wilcoxon_test,
    wilson_interval,
)

INSENSITIVE = 0.5  # the paper's threshold on agreement
_MIN_FOR_INTERVAL = 5  # a bootstrap of fewer images says nothing about the rest


def model_summaries(
    confmat: ConfusionMatrix, classes: tuple[ClassMetrics, ...], policy: Policy
) -> tuple[MetricSummary, ...]:
    """Accuracy, balanced accuracy, macro F1, and the recall of every class."""
    hits, n = int(np.diag(confmat.counts).sum()), int(confmat.counts.sum())
    low, high = wilson_interval(hits, n, policy.confidence_level)
    recalls = np.array([c.recall for c in classes])
    f1s = np.array([c.f1 for c in classes])
    return (
        MetricSummary(metric="accuracy", method="", value=hits / n, n=n, ci_low=low, ci_high=high),
        _mean_over_classes("balanced_accuracy", recalls),
        _mean_over_classes("macro_f1", f1s),
        *(
            MetricSummary(
                metric="recall",
                method="",
                class_idx=c.class_idx,
                value=c.recall,
                n=c.support,
                ci_low=c.recall_ci_low,
                ci_high=c.recall_ci_high,
            )
            for c in classes
        ),
    )


def _mean_over_classes(metric: str, values: FloatArray) -> MetricSummary:
    defined = values[np.isfinite(values)]
    value = float(defined.mean()) if len(defined) else float("nan")
    return MetricSummary(metric=metric, method="", value=value, n=len(defined), n_undefined=len(values) - len(defined))


def explanation_summaries(scores: SampleScores, protocol: Protocol, policy: Policy) -> tuple[MetricSummary, ...]:
    """Class sensitivity and fidelity of every method, over all images and per class."""
    summarise = _Summariser(scores, policy.confidence_level, protocol.seed)
    rows = [*summarise.sensitivity(protocol.methods), *summarise.chance()]
    for suffix in protocol.suffixes:
        rows += summarise.fidelity(protocol.methods, suffix)
    return tuple(rows)


MODEL_METRICS = {"accuracy", "accuracy_vs_baseline", "recall"}
"""Metrics of the model itself that have an interval, so that a threshold can judge them."""


def metrics_of_methods(protocol: Protocol) -> set[str]:
    """Metrics of every saliency method that have an interval under this protocol."""
    fidelity = (name.format(s) for s in protocol.suffixes for name in _FIDELITY_METRICS)
    return {
        "agreement_mean",
        "agreement_median",
        "agreement_degenerate_rate",
        *fidelity,
        *metrics_against_case(protocol),
    }


def metrics_against_case(protocol: Protocol) -> set[str]:
    """Those that compare a method with CASE: CASE itself has none."""
    if "case" not in protocol.methods:
        return set()
    return {f"confidence_drop_{s}_{end}" for s in protocol.suffixes for end in ("vs_case", "below_case")}


def metrics_per_class(protocol: Protocol) -> set[str]:
    """Those that exist for every class."""
    return {"recall", "agreement_median", *(f"confidence_drop_{s}" for s in protocol.suffixes)}


_FIDELITY_METRICS = (
    "confidence_drop_{}",
    "abs_confidence_drop_{}",
    "relative_confidence_drop_{}",
    "confidence_drop_{}_vs_random",
)


class _Summariser:
    def __init__(self, scores: SampleScores, confidence_level: float, seed: int) -> None:
        self._scores, self._level, self._seed = scores, confidence_level, seed

    def sensitivity(self, methods: tuple[str, ...]) -> Iterator[MetricSummary]:
        medians = []
        for method in methods:
            values = self._scores.values[method, "agreement"]
            yield self._row("agreement_mean", method, values, np.mean)
            yield self._degenerate_rate(method, values)
            median = self._row("agreement_median", method, values, np.median)
            test = wilcoxon_test(values[np.isfinite(values)], INSENSITIVE)
            medians.append(replace(median, p_value=test.p_value, effect_size=test.effect_size, test="wilcoxon"))
            yield from self._per_class("agreement_median", method, values, np.median)
        yield from _with_holm(medians)

    def chance(self) -> Iterator[MetricSummary]:
        yield self._row("agreement_mean", "random", self._scores.values["random", "agreement"], np.mean)

    def fidelity(self, methods: tuple[str, ...], suffix: str) -> Iterator[MetricSummary]:
        drop = f"confidence_drop_{suffix}"
        values = {method: self._scores.values[method, drop] for method in methods}
        control = {method: self._scores.values[method, f"random_drop_{suffix}"] for method in methods}
        for method in methods:
            yield self._row(drop, method, values[method], np.mean)
            yield self._row(f"abs_{drop}", method, np.abs(values[method]), np.mean)
            relative = np.maximum(values[method], 0) / self._scores.confidence
            yield self._row(f"relative_{drop}", method, relative, np.mean)
            yield from self._per_class(drop, method, values[method], np.mean)
        yield from self._paired(f"{drop}_vs_random", values, control, "greater")
        if "case" in methods:
            others = {method: v for method, v in values.items() if method != "case"}
            case = dict.fromkeys(others, values["case"])
            yield from self._paired(f"{drop}_vs_case", others, case, "two-sided")
            yield from self._paired(f"{drop}_below_case", others, case, "less")

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
        for u in np.unique(self._scores.target):
            yield self._row(metric, method, values[self._scores.target == u], statistic, class_idx=int(u))

    def _row(
        self,
        metric: str,
        method: str,
        values: FloatArray,
        statistic: Callable[..., FloatArray],
        class_idx: int | None = None,
    ) -> MetricSummary:
        defined = values[np.isfinite(values)]
        n = len(defined)
        low = high = float("nan")
        if n >= _MIN_FOR_INTERVAL:
            low, high = bootstrap_interval(defined, statistic, self._level, self._seed)
        return MetricSummary(
            metric=metric,
            method=method,
            class_idx=class_idx,
            value=float(statistic(defined)) if n else float("nan"),
            n=n,
            n_undefined=len(values) - n,
            ci_low=low,
            ci_high=high,
            sd=float(defined.std(ddof=1)) if n > 1 else float("nan"),
        )

    def _degenerate_rate(self, method: str, values: FloatArray) -> MetricSummary:
        undefined, n = int(np.isnan(values).sum()), len(values)
        low, high = wilson_interval(undefined, n, self._level)
        rate = undefined / n if n else float("nan")
        return MetricSummary(
            metric="agreement_degenerate_rate", method=method, value=rate, n=n, ci_low=low, ci_high=high
        )


def _with_holm(rows: list[MetricSummary]) -> Iterator[MetricSummary]:
    adjusted = holm(np.array([row.p_value for row in rows]))
    for row, p_adjusted in zip(rows, adjusted, strict=True):
        yield replace(row, p_adjusted=float(p_adjusted))
