"""The audit log, and what it says of an alias to whoever decides on it next."""

from dataclasses import dataclass, fields
from datetime import datetime
from itertools import takewhile
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, select

from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.store.connection import reading
from case_monitor.store.read.evaluation_list import OfModel
from case_monitor.store.read.rows import some_values_of, values_of
from case_monitor.store.tables import EvaluationRow, ModelVersionRow, PromotionRow, PromotionRunRow, name_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPromotion:
    """One entry of the audit log. `applied_at` None: decided, and the alias was not (yet) moved."""

    id: int
    model_name: str
    alias: str
    version: int
    previous_version: int | None
    decision: Decision
    evaluation_id: int
    reason: str
    decided_at: datetime
    applied_at: datetime | None
    decided_by: str | None
    valid_until: datetime | None

    @property
    def promotion(self) -> Promotion:
        """The decision that the entry holds."""
        return Promotion(**{field.name: getattr(self, field.name) for field in fields(Promotion)})


def promotions(engine: Engine, model_name: str) -> list[StoredPromotion]:
    """The audit log of a model, the last decision first."""
    with reading(engine) as connection:
        rows = values_of(connection, _log(ModelVersionRow.name_digest == name_digest(model_name)))
    return list(map(_stored, rows))


def some_promotions(
    engine: Engine, of: OfModel, limit: int | None, offset: int
) -> tuple[tuple[StoredPromotion, ...], int]:
    """Some entries of a model, or of all, the last decision first; and how many there are in all."""
    rows, total = some_values_of(engine, _log(*of.conditions), limit, offset)
    return tuple(map(_stored, rows)), total


def last_promotion(connection: Connection, evaluation_id: int) -> StoredPromotion | None:
    """What was decided on an evaluation last."""
    rows = values_of(connection, _log(PromotionRow.evaluation_id == evaluation_id).limit(1))
    return _stored(rows[0]) if rows else None


def unfinished_moves(engine: Engine, model_name: str, alias: str, holder: int) -> list[StoredPromotion]:
    """Entries that moved the alias to its holder, and were never confirmed: whoever moved it died.

    One from before the last confirmed move is not: that one moved it.
    """
    entries = _moving(engine, model_name, alias)
    return [p for p in takewhile(lambda p: p.applied_at is None, entries) if p.version == holder]


def standing_evidence(engine: Engine, model_name: str, alias: str, version: int) -> int | None:
    """The evaluation that a version holds the alias on.

    None where another version had it since, by the log, where a person overrode the verdict, and where the version was
    withheld since.
    """
    entries = [p for p in promotions(engine, model_name) if p.alias == alias and p.applied_at is not None]
    last = next((p for p in entries if p.version == version or p.decision is not Decision.WITHHELD), None)
    if last is None or last.version != version or last.decision not in {Decision.PROMOTED, Decision.KEPT}:
        return None
    return last.evaluation_id


def decision_of_run(engine: Engine, flow_run_id: str) -> StoredPromotion | None:
    """What a flow run came to; None where this database knows nothing of it."""
    query = (
        select(PromotionRow.model_name, PromotionRow.id)
        .join(PromotionRunRow, PromotionRunRow.promotion_id == PromotionRow.id)
        .where(PromotionRunRow.flow_run_id == flow_run_id)
    )
    with reading(engine) as connection:
        found = connection.execute(query).one_or_none()
    if found is None:
        return None
    return next(p for p in promotions(engine, found.model_name) if p.id == found.id)


def _moving(engine: Engine, model_name: str, alias: str) -> list[StoredPromotion]:
    """Entries that say that the alias moves, or stays by a pass, the last one first."""
    return [p for p in promotions(engine, model_name) if p.alias == alias and p.decision is not Decision.WITHHELD]


def _log(*conditions: ColumnElement[bool]) -> Select[Any]:
    return (
        select(*PromotionRow.__table__.columns)
        .join(EvaluationRow, EvaluationRow.id == PromotionRow.evaluation_id)
        .join(ModelVersionRow, ModelVersionRow.id == EvaluationRow.model_version_id)
        .where(*conditions)
        .order_by(PromotionRow.id.desc())  # not by time: a clock that was set back would put a later one first
    )


def _stored(row: dict[str, Any]) -> StoredPromotion:
    return StoredPromotion(**{**row, "decision": Decision(row["decision"])})
