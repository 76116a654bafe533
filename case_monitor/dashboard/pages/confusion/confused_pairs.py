"""Pairs of classes, and how often one of them is taken for the other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from case_monitor.dashboard.parts.class_ref import ClassRef
from case_monitor.domain.arrays import IntArray
from case_monitor.domain.contrast_sets import ContrastMember
from case_monitor.judging.statistics.intervals import wilson_interval
from case_monitor.store.read.confusion import StoredConfusion


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusedPair:
    """Images of class `true` that are predicted as `predicted`: `count` of `support`.

    `share` is of the true class, with Wilson's interval; `contrasted` says whether `predicted` is in the contrast set
    of `true`.
    """

    true: ClassRef
    predicted: ClassRef
    count: int
    support: int
    share: float
    ci_low: float
    ci_high: float
    contrasted: bool


def most_confused(confusion: StoredConfusion) -> IntArray:
    """(M,) places of the cells off the diagonal, by count, then by share of the true class, the greatest first."""
    cells = np.flatnonzero(confusion.target != confusion.predicted)
    share = confusion.count[cells] / confusion.support[confusion.target[cells]]
    keys = (confusion.predicted[cells], confusion.target[cells], -share, -confusion.count[cells])
    order: IntArray = cells[np.lexsort(keys)]
    return order


def confused_pairs(
    confusion: StoredConfusion, cells: IntArray, contrast: Sequence[ContrastMember]
) -> tuple[ConfusedPair, ...]:
    """These cells with names and figures.

    Args:
        confusion: where they are from.
        cells: their places.
        contrast: the contrast sets of at least the true classes of these cells.
    """
    contrasted = {(member.target_class, member.class_idx) for member in contrast}
    support = confusion.support
    return tuple(_pair(confusion, int(cell), support, contrasted) for cell in cells)


def class_ref(confusion: StoredConfusion, idx: int) -> ClassRef:
    """A class by its index."""
    return ClassRef(idx=idx, name=confusion.class_names[idx])


def _pair(confusion: StoredConfusion, cell: int, support: IntArray, contrasted: set[tuple[int, int]]) -> ConfusedPair:
    u, v, count = (int(column[cell]) for column in (confusion.target, confusion.predicted, confusion.count))
    total = int(support[u])
    low, high = wilson_interval(count, total, confusion.confidence_level)
    return ConfusedPair(
        true=class_ref(confusion, u),
        predicted=class_ref(confusion, v),
        count=count,
        support=total,
        share=count / total,
        ci_low=low,
        ci_high=high,
        contrasted=(u, v) in contrasted,
    )
