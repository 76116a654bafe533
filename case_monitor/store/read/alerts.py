"""Alerts: as an evaluation saw them, and their lives, open and resolved."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, select

from case_monitor.alerts.life import Scope
from case_monitor.domain.alert import Alert
from case_monitor.domain.policy import Severity
from case_monitor.domain.status import Status
from case_monitor.store.connection import reading
from case_monitor.store.read.rows import parts_of, required, values_of
from case_monitor.store.tables import AlertObservationRow, AlertRow, name_digest

_OBSERVED = ("rule", "method", "class_idx", "severity", "status", "observed", "limit_value", "message", "advice")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAlert:
    """One life of an alert; figures and words are those of the latest observation, on `version`.

    `observed` and `limit_value` are None where the alert is not about a number.
    """

    id: int
    model_name: str
    scope: Scope
    rule: str
    method: str
    class_idx: int | None
    class_name: str | None
    version: int
    baseline_version: int | None
    severity: Severity
    status: Status
    worst_severity: Severity
    worst_status: Status
    observed: float | None
    limit_value: float | None
    message: str
    advice: str
    opened_at: datetime
    last_seen_at: datetime
    observations: int
    resolved_at: datetime | None
    resolution: str | None
    acknowledged_at: datetime | None
    acknowledged_by: str | None
    muted_until: datetime | None
    mute_reason: str | None
    muted_at: datetime | None
    muted_by: str | None


def load_alerts(engine: Engine, evaluation_id: int) -> tuple[Alert, ...]:
    """The alerts of an evaluation as they were saved.

    Raises:
        StoreError: there is no such evaluation.
    """
    with reading(engine) as connection:
        required(connection, evaluation_id)
        return observed_alerts(connection, evaluation_id)


def observed_alerts(connection: Connection, evaluation_id: int) -> tuple[Alert, ...]:
    """The same, by a connection; none of an evaluation that is not stored."""
    return tuple(map(_alert, values_of(connection, parts_of(evaluation_id, AlertObservationRow, _OBSERVED))))


def load_alert_lives(
    engine: Engine, model_name: str | None = None, *, resolved: bool = False
) -> tuple[StoredAlert, ...]:
    """The open alerts of one or of all models, the newest first; on demand with the resolved ones."""
    query = select(AlertRow.__table__).order_by(AlertRow.opened_at.desc(), AlertRow.id.desc())
    if model_name is not None:
        query = query.where(AlertRow.name_digest == name_digest(model_name))
    if not resolved:
        query = query.where(AlertRow.resolved_at.is_(None))
    with reading(engine) as connection:
        return tuple(stored_alert(row) for row in connection.execute(query).mappings())


def recently_resolved(engine: Engine, model_name: str, last: int = 5) -> tuple[StoredAlert, ...]:
    """The alerts of a model that were resolved last, the last first."""
    query = (
        select(AlertRow.__table__)
        .where(AlertRow.name_digest == name_digest(model_name), AlertRow.resolved_at.is_not(None))
        .order_by(AlertRow.resolved_at.desc(), AlertRow.id.desc())
        .limit(last)
    )
    with reading(engine) as connection:
        return tuple(stored_alert(row) for row in connection.execute(query).mappings())


def stored_alert(row: RowMapping) -> StoredAlert:
    """The alert of a row with all columns of the table."""
    values = {field.name: row[field.name] for field in fields(StoredAlert)}
    for name, kind in {
        "scope": Scope,
        "severity": Severity,
        "status": Status,
        "worst_severity": Severity,
        "worst_status": Status,
    }.items():
        values[name] = kind(row[name])
    return StoredAlert(**values)


def _alert(row: dict[str, Any]) -> Alert:
    limit = row.pop("limit_value")
    return Alert(**{**row, "limit": limit, "severity": Severity(row["severity"]), "status": Status(row["status"])})
