"""What the audit log says of an alias, for whoever decides on it next."""

from itertools import takewhile

from sqlalchemy import Engine, select

from case_monitor.domain.promotion import Decision
from case_monitor.store.connection import reading
from case_monitor.store.read.evaluations import StoredPromotion, promotions
from case_monitor.store.tables import PromotionRow, PromotionRunRow


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
