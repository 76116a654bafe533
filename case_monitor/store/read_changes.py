"""Has anything changed that a page shows?"""

from datetime import UTC, datetime

from sqlalchemy import Engine, func, select

from case_monitor.store.connection import reading
from case_monitor.store.tables import AlertRow, EvaluationRow, PromotionRow, ReproductionRow


def change_token(engine: Engine) -> str:
    """A text that is another one as soon as an evaluation, a decision, a night or an alert is.

    What `db prune` takes away does not change it.
    """
    parts = (
        select(func.max(EvaluationRow.updated_at), func.max(EvaluationRow.id)),
        select(func.max(PromotionRow.id), func.max(PromotionRow.applied_at)),
        select(func.max(ReproductionRow.started_at)),
        select(
            func.max(AlertRow.id),
            func.max(AlertRow.last_seen_at),
            func.max(AlertRow.resolved_at),
            func.max(AlertRow.acknowledged_at),
            func.max(AlertRow.muted_until),
            func.count(AlertRow.muted_until),
            func.count().filter(AlertRow.muted_until > datetime.now(UTC)),
        ),
    )
    with reading(engine) as connection:
        return repr([tuple(connection.execute(part).one()) for part in parts])
