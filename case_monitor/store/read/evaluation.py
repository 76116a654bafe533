"""One evaluation by its id, and what belongs to it as a whole."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, select

from case_monitor.domain.promotion import Decision
from case_monitor.store.connection import reading
from case_monitor.store.read.evaluations import StoredEvaluation, StoredPromotion, evaluation_of
from case_monitor.store.tables import EvaluationRow, PromotionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherEvaluation:
    """Another evaluation of the same version: on another split, or under another protocol, policy or baseline."""

    id: int
    evaluated_at: datetime
    split_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationInPlace:
    """An evaluation, what was decided on it last, and its neighbours in time among those of the same version."""

    evaluation: StoredEvaluation
    promotion: StoredPromotion | None
    older: OtherEvaluation | None
    newer: OtherEvaluation | None


def read_evaluation(engine: Engine, evaluation_id: int) -> EvaluationInPlace | None:
    """The evaluation with this id; None if there is none."""
    with reading(engine) as connection:
        evaluation = evaluation_of(connection, evaluation_id)
        if evaluation is None:
            return None
        promotion = _last_promotion(connection, evaluation_id)
        others = _of_the_same_version(connection, evaluation_id)
    place = [other.id for other in others].index(evaluation_id)
    return EvaluationInPlace(
        evaluation=evaluation,
        promotion=promotion,
        older=others[place - 1] if place else None,
        newer=others[place + 1] if place + 1 < len(others) else None,
    )


def _last_promotion(connection: Connection, evaluation_id: int) -> StoredPromotion | None:
    query = (
        select(PromotionRow.__table__)
        .where(PromotionRow.evaluation_id == evaluation_id)
        .order_by(PromotionRow.decided_at.desc(), PromotionRow.id.desc())
        .limit(1)
    )
    row = connection.execute(query).mappings().one_or_none()
    return None if row is None else StoredPromotion(**{**row, "decision": Decision(row["decision"])})


def _of_the_same_version(connection: Connection, evaluation_id: int) -> list[OtherEvaluation]:
    """All of them with this one, the oldest first."""
    version = select(EvaluationRow.model_version_id).where(EvaluationRow.id == evaluation_id).scalar_subquery()
    query = (
        select(EvaluationRow.id, EvaluationRow.updated_at.label("evaluated_at"), EvaluationRow.split_name)
        .where(EvaluationRow.model_version_id == version)
        .order_by(EvaluationRow.updated_at, EvaluationRow.id)
    )
    return [OtherEvaluation(**row) for row in connection.execute(query).mappings()]
