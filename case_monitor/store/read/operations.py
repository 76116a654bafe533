"""What whoever runs the service wants to know of each model."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine, func, select

from case_monitor.domain.policy import Severity
from case_monitor.domain.status import Status
from case_monitor.store.connection import reading
from case_monitor.store.tables import AlertRow, EvaluationRow, ModelVersionRow, ReproductionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOperations:
    """`verdicts` and `open_alerts` count; `last_success` is when a check last came to its end."""

    name: str
    verdicts: dict[Status, int]
    open_alerts: dict[Severity, int]
    last_duration_s: float
    last_success: datetime


def model_operations(engine: Engine) -> list[ModelOperations]:
    """One record per model that was ever evaluated, by name."""
    with reading(engine) as connection:
        verdicts: Counter[tuple[str, str]] = Counter()
        last: dict[str, tuple[datetime, float]] = {}
        for name, status, updated_at, duration in connection.execute(
            select(
                ModelVersionRow.name, EvaluationRow.verdict_status, EvaluationRow.updated_at, EvaluationRow.duration_s
            ).join(EvaluationRow, EvaluationRow.model_version_id == ModelVersionRow.id)
        ):
            verdicts[name, status] += 1
            last[name] = max(last.get(name, (updated_at, duration)), (updated_at, duration))
        again = _last_nights(connection)
        alerts = {
            (name, severity): count
            for name, severity, count in connection.execute(
                select(AlertRow.model_name, AlertRow.severity, func.count())
                .where(AlertRow.resolved_at.is_(None))
                .group_by(AlertRow.model_name, AlertRow.severity)
            )
        }
    return [
        ModelOperations(
            name=name,
            verdicts={status: verdicts[name, status] for status in Status},
            open_alerts={severity: alerts.get((name, severity), 0) for severity in Severity},
            last_duration_s=duration,
            last_success=max(updated_at, again.get(name, updated_at)),
        )
        for name, (updated_at, duration) in sorted(last.items())
    ]


def has_evaluations(engine: Engine) -> bool:
    """Whether there is anything to show."""
    with reading(engine) as connection:
        return connection.execute(select(EvaluationRow.id).limit(1)).first() is not None


def _last_nights(connection: Connection) -> dict[str, datetime]:
    rows = connection.execute(
        select(ModelVersionRow.name, ReproductionRow.started_at)
        .join(EvaluationRow, EvaluationRow.model_version_id == ModelVersionRow.id)
        .join(ReproductionRow, ReproductionRow.evaluation_id == EvaluationRow.id)
        .order_by(ReproductionRow.started_at)
    )
    return {row.name: row.started_at for row in rows}
