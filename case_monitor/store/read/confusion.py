"""Which classes an evaluation saw confused."""

from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine, select

from case_monitor.domain.arrays import IntArray
from case_monitor.store.connection import reading
from case_monitor.store.read.rows import parts_of, some_values_of
from case_monitor.store.tables import ConfusionCellRow, EvaluationRow


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredConfusion:
    """A confusion matrix without its zeros.

    Attributes:
        class_names: (C,).
        confidence_level: of the evaluation's intervals.
        target, predicted, count: (M,) the cells with an image, by true class, then by predicted class.
    """

    class_names: tuple[str, ...]
    confidence_level: float
    target: IntArray
    predicted: IntArray
    count: IntArray

    @property
    def support(self) -> IntArray:
        """(C,) images of each class that have a prediction."""
        support = np.zeros(len(self.class_names), dtype=np.int64)
        np.add.at(support, self.target, self.count)
        return support


@dataclass(frozen=True, slots=True, kw_only=True)
class CellItem:
    """A cell of the confusion matrix that is not zero."""

    target_class: int
    predicted_class: int
    count: int


def read_confusion(engine: Engine, evaluation_id: int) -> StoredConfusion | None:
    """The confusion matrix of an evaluation; None if there is no such evaluation."""
    level = EvaluationRow.policy["confidence_level"].as_float()
    of_evaluation = select(EvaluationRow.class_names, level).where(EvaluationRow.id == evaluation_id)
    cells = (
        select(ConfusionCellRow.target_class, ConfusionCellRow.predicted_class, ConfusionCellRow.count)
        .where(ConfusionCellRow.evaluation_id == evaluation_id)
        .order_by(ConfusionCellRow.target_class, ConfusionCellRow.predicted_class)
    )
    with reading(engine) as connection:
        row = connection.execute(of_evaluation).one_or_none()
        if row is None:
            return None
        found = [tuple(cell) for cell in connection.execute(cells)]
    target, predicted, count = np.array(found, dtype=np.int64).reshape(-1, 3).T
    return StoredConfusion(
        class_names=tuple(row[0]), confidence_level=row[1], target=target, predicted=predicted, count=count
    )


def some_cells(engine: Engine, evaluation_id: int, limit: int | None, offset: int) -> tuple[tuple[CellItem, ...], int]:
    """Some of the cells, and how many there are in all."""
    names = ("target_class", "predicted_class", "count")
    rows, total = some_values_of(engine, parts_of(evaluation_id, ConfusionCellRow, names), limit, offset)
    return tuple(CellItem(**row) for row in rows), total
