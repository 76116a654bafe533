"""What an override does to the alerts: it is one, beside the policy's rules, and changes no other."""

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Engine, select, update

from case_monitor.alerts.life import EvaluationRun, Scope, next_steps
from case_monitor.alerts.override import AliasMoved, Override, override_alert
from case_monitor.alerts.standing import OVERRIDE
from case_monitor.domain.errors import StoreError
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.promotion import Decision
from case_monitor.store.connection import writing
from case_monitor.store.tables import AlertRow, PromotionRow, name_digest
from case_monitor.store.write.alerts import carry_out, is_news, open_alert, take_turns


def apply_override(engine: Engine, promotion_id: int, override: Override, model: ModelVersion, run_id: str) -> None:
    """Note that the alias was moved, and have people told of it: both, once, or neither.

    Raises:
        StoreError: there is no such entry in the audit log.
    """
    now = datetime.now(UTC)
    entry = PromotionRow.id == promotion_id
    with writing(engine) as connection:
        applied = update(PromotionRow).where(entry, PromotionRow.applied_at.is_(None)).values(applied_at=now)
        if connection.execute(applied).rowcount:
            _tell(connection, override, model, run_id, now)
        elif connection.execute(select(PromotionRow.id).where(entry)).one_or_none() is None:
            raise StoreError(f"promotion {promotion_id} is not stored")


def end_override(connection: Connection, model_name: str, version: int, alias: str, now: datetime) -> None:
    """Resolve the alert about an override, because the gate let this version have the alias."""
    last = select(PromotionRow.alias).where(
        PromotionRow.model_name == model_name, PromotionRow.decision == Decision.OVERRIDDEN.value
    )
    if connection.execute(last.order_by(PromotionRow.id.desc()).limit(1)).scalar_one_or_none() != alias:
        return
    digest = name_digest(model_name)
    take_turns(connection, digest)
    rows = connection.execute(select(AlertRow.__table__).where(*_is_open(digest)).with_for_update()).mappings().all()
    moved = AliasMoved(model=ModelVersion(name=model_name, version=version, run_id=None, digest=""))
    run = EvaluationRun(id="", started_at=now, scope=Scope.PRODUCTION)
    carry_out(connection, next_steps(list(map(open_alert, rows)), moved, now, {}, run.scope), moved, run)


def _tell(connection: Connection, override: Override, model: ModelVersion, run_id: str, now: datetime) -> None:
    """Open the alert. It is another person's doing than the last one, so that no mute of that keeps it quiet."""
    digest = name_digest(model.name)
    run = EvaluationRun(id=run_id, started_at=now, scope=Scope.PRODUCTION)
    take_turns(connection, digest)
    # What began before to look at the version that was in production says nothing about production any more.
    is_news(connection, digest, run)
    replaced = update(AlertRow).where(*_is_open(digest))
    connection.execute(replaced.values(resolved_at=now, resolution="another override took its place"))
    moved = AliasMoved(model=model, alerts=(override_alert(override, now),))
    carry_out(connection, next_steps([], moved, now, {}, run.scope), moved, run)


def _is_open(digest: str) -> tuple[ColumnElement[bool], ...]:
    scope = Scope.PRODUCTION.value
    return (
        AlertRow.name_digest == digest,
        AlertRow.scope == scope,
        AlertRow.rule == OVERRIDE,
        AlertRow.resolved_at.is_(None),
    )
