"""Which classes an evaluation saw confused, and which it contrasted for that."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from sqlalchemy import Engine, select

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.contrast_sets import ContrastSource
from case_monitor.store.connection import reading
from case_monitor.store.tables import ConfusionCellRow, ContrastMemberRow, EvaluationRow


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
class StoredContrast:
    """One class in the contrast set of another; `weight` None: the soft confusion is undefined."""

    target_class: int
    rank: int
    class_idx: int
    source: ContrastSource
    count: int
    weight: float | None


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


def read_contrast(engine: Engine, evaluation_id: int, classes: Collection[int]) -> tuple[StoredContrast, ...]:
    """The contrast sets of these classes, each in the order of its ranks."""
    columns = ContrastMemberRow.__table__.columns
    query = (
        select(*(columns[name] for name in StoredContrast.__dataclass_fields__))
        .where(ContrastMemberRow.evaluation_id == evaluation_id, ContrastMemberRow.target_class.in_(classes))
        .order_by(ContrastMemberRow.target_class, ContrastMemberRow.rank)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).mappings().all()
    return tuple(StoredContrast(**{**row, "source": ContrastSource(row["source"])}) for row in rows)
