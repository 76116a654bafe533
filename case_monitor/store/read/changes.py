"""Has anything changed that a page shows?"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Select, bindparam, func, select

from case_monitor.store.connection import reading
from case_monitor.store.tables import AlertRow, EvaluationRow, PromotionRow, ReproductionRow, UtcDateTime

_NOW = bindparam("now", type_=UtcDateTime)
_MAXIMA = (
    *(EvaluationRow.updated_at, EvaluationRow.id),
    *(PromotionRow.id, PromotionRow.applied_at),
    ReproductionRow.started_at,
    *(AlertRow.id, AlertRow.last_seen_at, AlertRow.resolved_at, AlertRow.acknowledged_at, AlertRow.muted_at),
)
_COUNTED = (AlertRow.muted_until.is_not(None), AlertRow.muted_until > _NOW)
_PARTS: tuple[Select[Any], ...] = (
    *(select(func.max(column)) for column in _MAXIMA),
    *(select(func.count()).select_from(AlertRow).where(condition) for condition in _COUNTED),
)
# One statement, made once, each part of it from an index: a page that is kept costs hardly more than this.
_QUERY = select(*(part.scalar_subquery() for part in _PARTS))


def change_token(engine: Engine) -> str:
    """A text that is another one as soon as an evaluation, a decision, a night or an alert is.

    What `db prune` takes away does not change it.
    """
    with reading(engine) as connection:
        return repr(tuple(connection.execute(_QUERY, {"now": datetime.now(UTC)}).one()))
