"""The methods side by side, in the form of the paper's Tables I (class sensitivity) and III (fidelity)."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from case_monitor.dashboard.parts.metric_words import area_words
from case_monitor.domain.arrays import UNDEFINED, defined
from case_monitor.domain.metrics import METRICS, named, row_of
from case_monitor.domain.summary import MetricSummary

Figures = dict[tuple[str, str], MetricSummary]
"""(metric, method) -> the figure over all classes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFigure:
    """A figure over all classes, as a page has it."""

    value: float | None
    sd: float | None
    ci_low: float | None
    ci_high: float | None
    n: int

    @classmethod
    def of(cls, figure: MetricSummary | None) -> "ShownFigure | None":
        """None where it was not measured."""
        if figure is None:
            return None
        low, high = defined(figure.ci_low), defined(figure.ci_high)
        return cls(value=defined(figure.value), sd=defined(figure.sd), ci_low=low, ci_high=high, n=figure.n)


@dataclass(frozen=True, slots=True, kw_only=True)
class SensitivityRow:
    """Agreement of a method's maps; p is Wilcoxon's. `best`: no other method has a lower median."""

    method: str
    is_gate: bool
    best: bool
    median: float | None
    ci_low: float | None
    ci_high: float | None
    mean: float | None
    sd: float | None
    p_value: float | None
    p_adjusted: float | None
    n: int
    degenerate_rate: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FidelityCell:
    """The drop at one area, its distance from the random control, and p (Holm) against that and against CASE.

    `control` is the mean drop of as many random pixels. `best`: no other method has a higher drop.
    """

    drop: float | None
    sd: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    control: float | None
    beyond: float | None
    beyond_low: float | None
    p_random: float | None
    p_case: float | None
    best: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FidelityRow:
    """The drops of a method, one per area."""

    method: str
    is_gate: bool
    cells: tuple[FidelityCell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodsTable:
    """All methods in the order evaluated. `chance` is the mean agreement of two random maps, with its SD and n."""

    gate_method: str
    sensitivity: tuple[SensitivityRow, ...]
    chance: ShownFigure | None
    areas: tuple[str, ...]
    fidelity: tuple[FidelityRow, ...]


def methods_table(stored: Iterable[MetricSummary], gate_method: str) -> MethodsTable:
    """From the figures over all classes."""
    figures = {(figure.metric, figure.method): figure for figure in stored}
    methods = [method for metric, method in figures if metric == "agreement_median"]
    suffixes = list(dict.fromkeys(_drop_suffixes(metric for metric, _ in figures)))
    least_alike = _best(figures, "agreement_median", methods)
    highest = {s: _best(figures, f"confidence_drop_{s}", methods) for s in suffixes}
    return MethodsTable(
        gate_method=gate_method,
        sensitivity=tuple(_sensitivity(figures, method, gate_method, least_alike) for method in methods),
        chance=ShownFigure.of(figures.get(("agreement_mean", "random"))),
        areas=tuple(map(area_words, suffixes)),
        fidelity=tuple(
            FidelityRow(
                method=method,
                is_gate=method == gate_method,
                cells=tuple(_fidelity(figures, method, suffix, highest[suffix]) for suffix in suffixes),
            )
            for method in methods
        ),
    )


def _drop_suffixes(metrics: Iterable[str]) -> Iterator[str]:
    for found in map(named, metrics):
        if found is not None and found.metric is METRICS["confidence_drop_{}"]:
            yield found.suffix


def _best(figures: Figures, metric: str, methods: Sequence[str]) -> float | None:
    found = (figures.get((metric, method)) for method in methods)
    values = [figure.value for figure in found if figure is not None and math.isfinite(figure.value)]
    return (max if row_of(metric).greater_is_better else min)(values, default=None)


def _sensitivity(figures: Figures, method: str, gate_method: str, best: float | None) -> SensitivityRow:
    median, mean = (_figure(figures, metric, method) for metric in ("agreement_median", "agreement_mean"))
    return SensitivityRow(
        method=method,
        is_gate=method == gate_method,
        best=median.value == best,
        median=defined(median.value),
        ci_low=defined(median.ci_low),
        ci_high=defined(median.ci_high),
        mean=defined(mean.value),
        sd=defined(mean.sd),
        p_value=defined(median.p_value),
        p_adjusted=defined(median.p_adjusted),
        n=median.n,
        degenerate_rate=defined(_figure(figures, "agreement_degenerate_rate", method).value),
    )


def _fidelity(figures: Figures, method: str, suffix: str, best: float | None) -> FidelityCell:
    metric = f"confidence_drop_{suffix}"
    drop, beyond, case = (_figure(figures, f"{metric}{end}", method) for end in ("", "_vs_random", "_vs_case"))
    # Both are undefined for the same images, so that the difference of the means is the mean difference.
    control = drop.value - beyond.value
    return FidelityCell(
        drop=defined(drop.value),
        sd=defined(drop.sd),
        ci_low=defined(drop.ci_low),
        ci_high=defined(drop.ci_high),
        n=drop.n,
        control=defined(control),
        beyond=defined(beyond.value),
        beyond_low=defined(beyond.ci_low),
        p_random=defined(beyond.p_adjusted),
        p_case=defined(case.p_adjusted),
        best=drop.value == best,
    )


def _figure(figures: Figures, metric: str, method: str) -> MetricSummary:
    """The figure, or one that says that nothing was measured."""
    return figures.get((metric, method)) or MetricSummary(metric=metric, method=method, value=UNDEFINED, n=0)
