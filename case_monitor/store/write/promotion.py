"""The audit log: what was decided, and whether it was done."""

from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, Executable, func, literal, select, update

from case_monitor.domain.errors import StoreError
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.store.connection import writing
from case_monitor.store.tables import EvaluationRow, ModelVersionRow, PromotionRow, PromotionRunRow, UtcDateTime
from case_monitor.store.write.override import end_override
from case_monitor.store.write.rows import Row, bindable, dialect_insert, fields_of

MOVES = frozenset({Decision.PROMOTED, Decision.OVERRIDDEN})
"""Decisions that move the alias."""


def record_promotion(engine: Engine, promotion: Promotion) -> int:
    """Write a decision to the audit log, before the registry is touched.

    Written once, however often it is retried: an entry that is not yet applied is found again, and so is the last
    entry for the alias if it says the same and nothing was to be moved. An override that came to nothing gives way to
    the words of the next one.

    Returns:
        The entry's id.

    Raises:
        StoreError: The evaluation is not stored or belongs to another version.
    """
    row = bindable(PromotionRow, {**fields_of(promotion), "decided_at": datetime.now(UTC)})
    with writing(engine) as connection:
        _require_evidence(connection, promotion)
        said = _last_entry(connection, row)
        if said is not None and promotion.decision not in MOVES:
            return said
        connection.execute(_insert(connection, row))
        is_open = select(PromotionRow.id).filter_by(**_decision_key(row)).where(PromotionRow.applied_at.is_(None))
        return connection.execute(is_open).scalar_one()


def _insert(connection: Connection, row: Row) -> Executable:
    statement = dialect_insert(connection, PromotionRow).values(row)
    if row["decision"] != Decision.OVERRIDDEN:
        return statement.on_conflict_do_nothing()
    answer = ("previous_version", "reason", "decided_by", "valid_until", "decided_at")
    return statement.on_conflict_do_update(
        index_elements=["evaluation_id", "alias", "decision"],
        index_where=PromotionRow.applied_at.is_(None),
        set_={name: statement.excluded[name] for name in answer},
    )


def _decision_key(row: Row) -> Row:
    return {name: row[name] for name in ("evaluation_id", "alias", "decision")}


def _last_entry(connection: Connection, row: Row) -> int | None:
    """The id of the alias's last entry, if it is this very decision."""
    last = connection.execute(
        select(PromotionRow.id, PromotionRow.evaluation_id, PromotionRow.alias, PromotionRow.decision)
        .where(PromotionRow.model_name == row["model_name"], PromotionRow.alias == row["alias"])
        .order_by(PromotionRow.id.desc())
        .limit(1)
    ).one_or_none()
    same = last is not None and (last.evaluation_id, last.alias, last.decision) == tuple(_decision_key(row).values())
    return last.id if last is not None and same else None


def mark_promotion_applied(engine: Engine, promotion_id: int) -> None:
    """Note that the alias is as decided; a second call keeps the first time.

    Where the gate let a version have the alias, no override stands any more.
    """
    now = datetime.now(UTC)
    first = func.coalesce(PromotionRow.applied_at, literal(now, UtcDateTime()))
    said = (PromotionRow.model_name, PromotionRow.version, PromotionRow.alias, PromotionRow.decision)
    with writing(engine) as connection:
        statement = update(PromotionRow).where(PromotionRow.id == promotion_id).values(applied_at=first)
        entry = connection.execute(statement.returning(*said)).one_or_none()
        if entry is None:
            raise StoreError(f"promotion {promotion_id} is not stored")
        if entry.decision in {Decision.PROMOTED, Decision.KEPT}:
            end_override(connection, entry.model_name, entry.version, entry.alias, now)


def note_run(engine: Engine, flow_run_id: str, promotion_id: int) -> None:
    """Note which entry a flow run came to; a second call changes nothing."""
    row = bindable(PromotionRunRow, {"flow_run_id": flow_run_id, "promotion_id": promotion_id})
    with writing(engine) as connection:
        connection.execute(dialect_insert(connection, PromotionRunRow).values(row).on_conflict_do_nothing())


def _require_evidence(connection: Connection, promotion: Promotion) -> None:
    evidence = connection.execute(
        select(ModelVersionRow.name, ModelVersionRow.version)
        .join(EvaluationRow, EvaluationRow.model_version_id == ModelVersionRow.id)
        .where(EvaluationRow.id == promotion.evaluation_id)
    ).one_or_none()
    if evidence is None:
        raise StoreError(f"evaluation {promotion.evaluation_id} is not stored")
    if tuple(evidence) != (promotion.model_name, promotion.version):
        raise StoreError(
            f"evaluation {promotion.evaluation_id} is of {evidence.name}/{evidence.version}, "
            f"not of {promotion.model_name}/{promotion.version}"
        )
