"""Which versions are in production against the verdict, as the audit log has it."""

from sqlalchemy import Connection, Engine, func, or_, select

from case_monitor.alerts.override import Override
from case_monitor.domain.promotion import Decision
from case_monitor.store.connection import reading
from case_monitor.store.tables import EvaluationRow, ModelVersionRow, PromotionRow, name_digest


def standing_override(engine: Engine, model_name: str, alias: str) -> Override | None:
    """The override that stands: nothing was let through by the gate since. Whoever asks knows who holds the alias."""
    with reading(engine) as connection:
        return overrides(connection, alias, name_digest(model_name)).get(name_digest(model_name))


def overrides(connection: Connection, alias: str, digest: str | None = None) -> dict[str, Override]:
    """Digest of the name -> the override that stands.

    Args:
        connection: to the results database.
        alias: which marks the version in production.
        digest: of one model's name; None for all.
    """
    entry = PromotionRow
    place = func.row_number().over(partition_by=ModelVersionRow.name_digest, order_by=entry.id.desc()).label("place")
    # The alias may have been moved by an override that was not seen through; a promotion counts once it is.
    is_over = entry.decision.in_([Decision.PROMOTED.value, Decision.KEPT.value]) & entry.applied_at.is_not(None)
    query = (
        select(ModelVersionRow.name_digest, place, entry.__table__)
        .join(EvaluationRow, EvaluationRow.id == entry.evaluation_id)
        .join(ModelVersionRow, ModelVersionRow.id == EvaluationRow.model_version_id)
        .where(entry.alias == alias, or_(is_over, entry.decision == Decision.OVERRIDDEN.value))
    )
    if digest is not None:
        query = query.where(ModelVersionRow.name_digest == digest)
    last = query.subquery()
    rows = connection.execute(
        select(last).where(last.c.place == 1, last.c.decision == Decision.OVERRIDDEN.value)
    ).mappings()
    return {
        row["name_digest"]: Override(
            model_name=row["model_name"],
            version=row["version"],
            alias=row["alias"],
            by=row["decided_by"],
            reason=row["reason"],
            until=row["valid_until"],
        )
        for row in rows
    }
