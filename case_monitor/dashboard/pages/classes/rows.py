"""Rows of the table of classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from case_monitor.domain.arrays import UNDEFINED, defined
from case_monitor.domain.contrast_sets import ContrastSource
from case_monitor.store.read.classes import StoredClass, StoredClasses, StoredDetails
from case_monitor.store.read.summaries import MetricOfMethod


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastedClass:
    """A member of a contrast set: `observed` in `count` images, or `soft`, by a mean probability of `weight`."""

    class_idx: int
    name: str
    source: ContrastSource
    count: int
    weight: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRow:
    """One class. `agreements` and `drops` have a figure per method; `is_unseen`: it has no validation image.

    `labels` has how often the model says yes to its images, and is right to; nothing where each image is of one class.
    """

    class_idx: int
    name: str
    is_failing: bool
    is_unseen: bool
    support: int
    recall: float | None
    recall_ci_low: float | None
    recall_ci_high: float | None
    precision: float | None
    f1: float | None
    explained: int
    labels: tuple[float | None, ...]
    agreements: tuple[float | None, ...]
    drops: tuple[float | None, ...]
    active_channels: float | None
    contrast: tuple[ContrastedClass, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFigures:
    """Which figures the columns show that are not of the class itself."""

    labels: tuple[MetricOfMethod, ...]
    agreements: tuple[MetricOfMethod, ...]
    drops: tuple[MetricOfMethod, ...]


def class_row(
    item: StoredClass, stored: StoredClasses, details: StoredDetails, figures: ShownFigures, names: Sequence[str]
) -> ClassRow:
    """All about one class; `names` are those of all classes."""
    idx = item.class_idx
    return ClassRow(
        class_idx=idx,
        name=item.class_name,
        is_failing=idx in stored.failing,
        is_unseen=idx in stored.unseen,
        support=item.support,
        recall=defined(item.recall),
        recall_ci_low=defined(item.recall_ci_low),
        recall_ci_high=defined(item.recall_ci_high),
        precision=defined(item.precision),
        f1=defined(item.f1),
        explained=stored.explained.get(idx, 0),
        labels=_figures(details.values, figures.labels, idx),
        agreements=_figures(details.values, figures.agreements, idx),
        drops=_figures(details.values, figures.drops, idx),
        active_channels=defined(item.active_channels),
        contrast=tuple(
            ContrastedClass(
                class_idx=member.class_idx,
                name=names[member.class_idx],
                source=member.source,
                count=member.count,
                weight=defined(member.weight),
            )
            for member in details.contrast.get(idx, ())
        ),
    )


def _figures(
    values: Mapping[MetricOfMethod, Mapping[int, float]], figures: Sequence[MetricOfMethod], idx: int
) -> tuple[float | None, ...]:
    return tuple(defined(values[figure].get(idx, UNDEFINED)) for figure in figures)
