"""The lives of alerts: what an evaluation does to them, and what people do."""

from collections.abc import Iterable
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, RowMapping, bindparam, func, insert, select, update

from case_monitor.alerts.life import (
    AlertIdentity,
    EvaluationRun,
    Judged,
    Mute,
    NoticeKind,
    OpenAlert,
    Scope,
    Step,
    identity_of,
    next_steps,
    worst,
)
from case_monitor.alerts.notice import notice_text
from case_monitor.domain.alert import Alert
from case_monitor.domain.errors import ClosedAlertError
from case_monitor.domain.policy import Severity
from case_monitor.domain.status import Status
from case_monitor.store.connection import writing
from case_monitor.store.tables import AlertMarkRow, AlertNoticeRow, AlertObservationRow, AlertRow, name_digest
from case_monitor.store.write.rows import Row, bindable, dialect_insert


def apply_to_alerts(connection: Connection, evaluation_id: int, judged: Judged, run: EvaluationRun) -> None:
    """Open, carry on and resolve the model's alerts, once per run, and put the notices into the outbox.

    A run that is applied already, or that started before the last one that was, changes nothing.
    """
    digest = name_digest(judged.model.name)
    take_turns(connection, digest)
    if is_news(connection, digest, run):
        known = _lives(connection, digest, run)
        open_alerts = [open_alert(row) for row in known if row["resolved_at"] is None]
        mutes = {_identity(row): _mute(row) for row in known if row["resolved_at"] is not None}
        steps = next_steps(open_alerts, judged, run.started_at, {k: m for k, m in mutes.items() if m}, run.scope)
        carry_out(connection, steps, judged, run)
        if run.scope is Scope.PRODUCTION:
            _end_candidacy(connection, digest, judged.model.version, run.started_at)
    _link_observations(connection, evaluation_id, judged, _lives(connection, digest, run))


def carry_out(connection: Connection, steps: Iterable[Step], judged: Judged, run: EvaluationRun) -> None:
    """Change the alerts as the steps say, and put the notices into the outbox."""
    for step in steps:
        alert_id = _take(connection, step, judged, run)
        if step.notice:
            text = notice_text(step.notice, step, judged, run.scope, alert_id)
            _write_notice(connection, step.notice, alert_id, text)


def acknowledge(engine: Engine, alert_id: int, by: str) -> None:
    """Note who looks after an open alert.

    Raises:
        ClosedAlertError: there is no such open alert.
    """
    _change(engine, alert_id, {"acknowledged_at": datetime.now(UTC), "acknowledged_by": by})


def mute(engine: Engine, alert_id: int, until: datetime, reason: str, by: str) -> None:
    """Keep an open alert quiet for some time; note who does so.

    Raises:
        ClosedAlertError: there is no such open alert.
    """
    _change(engine, alert_id, _mute_row(Mute(until=until, reason=reason, at=datetime.now(UTC), by=by)))


def unmute(engine: Engine, alert_id: int) -> None:
    """Let an open alert be heard again.

    Raises:
        ClosedAlertError: there is no such open alert.
    """
    _change(engine, alert_id, _mute_row(None))


def _change(engine: Engine, alert_id: int, values: Row) -> None:
    statement = update(AlertRow).where(AlertRow.id == alert_id, AlertRow.resolved_at.is_(None))
    with writing(engine) as connection:
        if not connection.execute(statement.values(bindable(AlertRow, values))).rowcount:
            raise ClosedAlertError(f"alert {alert_id} is not open; see: case-monitor alerts")


def take_turns(connection: Connection, digest: str) -> None:
    """One writer per model at a time, until the transaction ends; SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        key = int.from_bytes(bytes.fromhex(digest[:16]), signed=True)
        connection.execute(select(func.pg_advisory_xact_lock(key)))


def is_news(connection: Connection, digest: str, run: EvaluationRun) -> bool:
    """Whether the run is to be applied; if so, it is the last one from now on."""
    here = (AlertMarkRow.name_digest == digest, AlertMarkRow.scope == run.scope.value)
    last = connection.execute(select(AlertMarkRow.run_id, AlertMarkRow.started_at).where(*here)).one_or_none()
    if last is not None and (last.run_id == run.id or run.started_at < last.started_at):
        return False
    row = {"name_digest": digest, "scope": run.scope, "run_id": run.id, "started_at": run.started_at}
    statement = dialect_insert(connection, AlertMarkRow).values(bindable(AlertMarkRow, row))
    replaced = {name: statement.excluded[name] for name in ("run_id", "started_at")}
    connection.execute(statement.on_conflict_do_update(index_elements=["name_digest", "scope"], set_=replaced))
    return True


def _lives(connection: Connection, digest: str, run: EvaluationRun) -> list[RowMapping]:
    """The open alerts of the run's model and scope, and the resolved ones whose mute goes on: at most one each."""
    here = (AlertRow.name_digest == digest, AlertRow.scope == run.scope.value)
    latest = select(func.max(AlertRow.id)).where(*here).group_by(AlertRow.rule, AlertRow.method, AlertRow.class_idx)
    concerned = AlertRow.resolved_at.is_(None) | (AlertRow.muted_until > run.started_at)
    # Locked, so that nobody mutes an alert between here and its update.
    query = select(AlertRow.__table__).where(AlertRow.id.in_(latest), concerned).with_for_update()
    return list(connection.execute(query.order_by(AlertRow.id)).mappings())


def _identity(row: RowMapping) -> AlertIdentity:
    return AlertIdentity(rule=row["rule"], method=row["method"], class_idx=row["class_idx"])


def _mute(row: RowMapping) -> Mute | None:
    until = row["muted_until"]
    return until and Mute(until=until, reason=row["mute_reason"], at=row["muted_at"], by=row["muted_by"])


def _mute_row(mute: Mute | None) -> Row:
    return {
        "muted_until": mute and mute.until,
        "mute_reason": mute and mute.reason,
        "muted_at": mute and mute.at,
        "muted_by": mute and mute.by,
    }


def open_alert(row: RowMapping) -> OpenAlert:
    """A row of an open alert."""
    return OpenAlert(
        id=row["id"],
        identity=_identity(row),
        class_name=row["class_name"],
        message=row["message"],
        opened_at=row["opened_at"],
        observations=row["observations"],
        worst_severity=Severity(row["worst_severity"]),
        worst_status=Status(row["worst_status"]),
        acknowledged=row["acknowledged_at"] is not None,
        mute=_mute(row),
    )


def _take(connection: Connection, step: Step, judged: Judged, run: EvaluationRun) -> int:
    """Carry out a step; returns the alert's id."""
    now = run.started_at
    values = _mute_row(step.mute)
    if step.before is None:
        values |= _identity_row(step, judged, run.scope) | {"opened_at": now}
    if step.alert is None:
        values |= {"resolved_at": now, "resolution": step.reason}
    else:
        values |= _observation_row(step.alert, step.before, judged) | {"last_seen_at": now}
    values = bindable(AlertRow, values)
    if step.before is None:
        return connection.execute(insert(AlertRow).values(values).returning(AlertRow.id)).scalar_one()
    connection.execute(update(AlertRow).where(AlertRow.id == step.before.id).values(values))
    return step.before.id


def _identity_row(step: Step, judged: Judged, scope: Scope) -> Row:
    idx, names = step.identity.class_idx, judged.class_names
    return {
        "model_name": judged.model.name,
        "name_digest": name_digest(judged.model.name),
        "scope": scope,
        "rule": step.identity.rule,
        "method": step.identity.method,
        "class_idx": idx,
        "class_name": None if idx is None else names[idx],
    }


def _observation_row(alert: Alert, before: OpenAlert | None, judged: Judged) -> Row:
    severity, status = alert.severity, alert.status
    if before:
        severity, status = worst(alert, before.worst_severity, before.worst_status)
    return {
        "version": judged.model.version,
        "baseline_version": judged.baseline.version if judged.baseline else None,
        "severity": alert.severity,
        "status": alert.status,
        "worst_severity": severity,
        "worst_status": status,
        "observed": alert.observed,
        "limit_value": alert.limit,
        "message": alert.message,
        "advice": alert.advice,
        "observations": before.observations + 1 if before else 1,
    }


def _write_notice(connection: Connection, kind: NoticeKind, alert_id: int, message: tuple[str, str]) -> None:
    title, body = message
    row = {
        "alert_id": alert_id,
        "kind": kind,
        "title": title,
        "body": body,
        "created_at": datetime.now(UTC),
        "delivered_to": [],
    }
    connection.execute(insert(AlertNoticeRow).values(bindable(AlertNoticeRow, row)))


def _end_candidacy(connection: Connection, digest: str, version: int, now: datetime) -> None:
    """A candidate that went into production has its alerts there from now on; nobody need be told twice."""
    connection.execute(
        update(AlertRow)
        .where(
            AlertRow.name_digest == digest,
            AlertRow.scope == Scope.CANDIDATE.value,
            AlertRow.version == version,
            AlertRow.resolved_at.is_(None),
        )
        .values(resolved_at=now, resolution="the version is in production now, and has its alerts there")
    )


def _link_observations(connection: Connection, evaluation_id: int, judged: Judged, lives: Iterable[RowMapping]) -> None:
    """Point this evaluation's observations at the alerts that are open."""
    ids = {_identity(row): row["id"] for row in lives if row["resolved_at"] is None}
    links: list[dict[str, object]] = [
        {"at": position, "alert": ids[identity_of(alert)]}
        for position, alert in enumerate(judged.alerts)
        if identity_of(alert) in ids
    ]
    if links:
        of_row = (
            AlertObservationRow.evaluation_id == evaluation_id,
            AlertObservationRow.position == bindparam("at"),
        )
        connection.execute(update(AlertObservationRow).where(*of_row).values(alert_id=bindparam("alert")), links)
