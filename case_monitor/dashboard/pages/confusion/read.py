"""From the stored confusions to lists, a table, and what is drawn."""

from fastapi import HTTPException
from sqlalchemy import Engine

from case_monitor.dashboard.pages.confusion.class_order import MAX_CLUSTERED, clustered
from case_monitor.dashboard.pages.confusion.confused_pairs import class_ref, confused_pairs, most_confused
from case_monitor.dashboard.pages.confusion.record import (
    ClassConfusions,
    ClassOrder,
    ConfusionCells,
    ConfusionPage,
    ConfusionQuery,
    Contrasted,
    MatrixRow,
)
from case_monitor.dashboard.parts.evaluation_head import read_head
from case_monitor.domain.arrays import IntArray, defined
from case_monitor.domain.contrast_sets import ContrastMember
from case_monitor.settings import Settings
from case_monitor.store.read.confusion import StoredConfusion, read_confusion
from case_monitor.store.read.contrast_sets import read_contrast

TOP = 50
"""So many entries of a list are shown."""
MAX_TABLE = 30
"""Up to this many classes the matrix is a table as well."""


def confusion_page(engine: Engine, settings: Settings, evaluation_id: int, chosen: ConfusionQuery) -> ConfusionPage:
    """What the page shows.

    Raises:
        HTTPException: 404, there is no such evaluation, or it has no such class.
    """
    head, confusion = read_head(engine, settings, evaluation_id), _confusion(engine, evaluation_id)
    num_classes = len(confusion.class_names)
    if chosen.class_idx is not None and chosen.class_idx >= num_classes:
        raise HTTPException(404, f"The split has no class {chosen.class_idx}: they are 0 to {num_classes - 1}.")
    cells = most_confused(confusion)
    first = cells[:TOP]
    contrast = read_contrast(engine, evaluation_id, {int(u) for u in confusion.target[first]})
    return ConfusionPage(
        head=head,
        chosen=chosen,
        classes=tuple(class_ref(confusion, idx) for idx in range(num_classes)),
        images=int(confusion.count.sum()),
        wrong=int(confusion.count[cells].sum()),
        pairs=confused_pairs(confusion, first, contrast),
        pairs_total=len(cells),
        about_class=None if chosen.class_idx is None else _about(engine, evaluation_id, confusion, chosen.class_idx),
        table=_table(confusion) if num_classes <= MAX_TABLE else None,
        confidence_level=confusion.confidence_level,
        too_many_to_cluster=num_classes > MAX_CLUSTERED,
    )


def confusion_cells(engine: Engine, evaluation_id: int, order: ClassOrder) -> ConfusionCells:
    """What the drawing is made of.

    Raises:
        HTTPException: 404, there is no such evaluation.
    """
    confusion = _confusion(engine, evaluation_id)
    num_classes = len(confusion.class_names)
    return ConfusionCells(
        names=confusion.class_names,
        order=_numbers(clustered(confusion)) if order is ClassOrder.CLUSTERED else tuple(range(num_classes)),
        support=_numbers(confusion.support),
        true=_numbers(confusion.target),
        predicted=_numbers(confusion.predicted),
        count=_numbers(confusion.count),
    )


def _confusion(engine: Engine, evaluation_id: int) -> StoredConfusion:
    confusion = read_confusion(engine, evaluation_id)
    if confusion is None:
        raise HTTPException(404, f"There is no evaluation {evaluation_id}.")
    return confusion


def _about(engine: Engine, evaluation_id: int, confusion: StoredConfusion, idx: int) -> ClassConfusions:
    cells = most_confused(confusion)
    taken_for, taken_from = cells[confusion.target[cells] == idx], cells[confusion.predicted[cells] == idx]
    true_classes = {idx, *_numbers(confusion.target[taken_from[:TOP]])}
    contrast = read_contrast(engine, evaluation_id, true_classes)
    right = (confusion.target == idx) & (confusion.predicted == idx)
    return ClassConfusions(
        about=class_ref(confusion, idx),
        support=int(confusion.support[idx]),
        right=int(confusion.count[right].sum()),
        taken_for=confused_pairs(confusion, taken_for[:TOP], contrast),
        taken_for_total=len(taken_for),
        taken_from=confused_pairs(confusion, taken_from[:TOP], contrast),
        taken_from_total=len(taken_from),
        contrast=tuple(_contrasted(confusion, member) for member in contrast if member.target_class == idx),
    )


def _contrasted(confusion: StoredConfusion, member: ContrastMember) -> Contrasted:
    return Contrasted(
        member=class_ref(confusion, member.class_idx),
        source=member.source,
        count=member.count,
        weight=defined(member.weight),
    )


def _table(confusion: StoredConfusion) -> tuple[MatrixRow, ...]:
    num_classes = len(confusion.class_names)
    counts = [[0] * num_classes for _ in range(num_classes)]
    for u, v, count in zip(confusion.target, confusion.predicted, confusion.count, strict=True):
        counts[u][v] = int(count)
    return tuple(
        MatrixRow(true=class_ref(confusion, u), support=sum(row), counts=tuple(row)) for u, row in enumerate(counts)
    )


def _numbers(values: IntArray) -> tuple[int, ...]:
    return tuple(values.tolist())
