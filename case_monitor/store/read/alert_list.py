"""A page of alerts: of some model, in some state, the newest first."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import ColumnElement, Connection, Engine, RowMapping, Select, and_, func, select, true

from case_monitor.domain.policy import Severity
from case_monitor.store.connection import reading
from case_monitor.store.read.alerts import StoredAlert, stored_alert
from case_monitor.store.tables import AlertObservationRow, AlertRow, EvaluationRow, name_digest


class AlertState(StrEnum):
    """What to list. Muted and acknowledged alerts are open as well."""

    OPEN = "open"
    MUTED = "muted"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSelection:
    """Which alerts; None: of every model, of either severity."""

    model_name: str | None = None
    state: AlertState = AlertState.OPEN
    severity: Severity | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedAlert:
    """An alert, whether it is muted at the moment, and the evaluation that observed it last, if that is stored."""

    alert: StoredAlert
    muted: bool
    evaluation_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertList:
    """Page `number` of `pages`; `counts` has the alerts of the selection in every state."""

    alerts: tuple[ListedAlert, ...]
    counts: dict[AlertState, int]
    number: int
    pages: int


def read_alert_list(engine: Engine, chosen: AlertSelection, now: datetime, number: int, size: int) -> AlertList:
    """One page of the alerts, the newest first; beyond the last page the last.

    Args:
        engine: the results database.
        chosen: which alerts.
        now: decides which are muted.
        number: of the page, from 1.
        size: alerts on a page.
    """
    states = _states(now)
    with reading(engine) as connection:
        counts = _counts(connection, chosen, states)
        pages = max(-(-counts[chosen.state] // size), 1)
        number = min(number, pages)
        query = _listed().where(_of(chosen), states[chosen.state])
        query = query.order_by(AlertRow.opened_at.desc(), AlertRow.id.desc())
        rows = connection.execute(query.limit(size).offset((number - 1) * size)).mappings()
        alerts = tuple(_alert(row, now) for row in rows)
    return AlertList(alerts=alerts, counts=counts, number=number, pages=pages)


def read_alert(engine: Engine, alert_id: int, now: datetime) -> ListedAlert | None:
    """One alert; None if there is none with this id."""
    with reading(engine) as connection:
        row = connection.execute(_listed().where(AlertRow.id == alert_id)).mappings().one_or_none()
    return None if row is None else _alert(row, now)


def names_with_alerts(engine: Engine) -> tuple[str, ...]:
    """The models that ever had an alert, by name."""
    with reading(engine) as connection:
        return tuple(sorted(connection.execute(select(AlertRow.model_name).distinct()).scalars()))


def _listed() -> Select[tuple[object, ...]]:
    order = (EvaluationRow.updated_at.desc(), EvaluationRow.id.desc())
    last = (
        select(EvaluationRow.id)
        .join(AlertObservationRow, AlertObservationRow.evaluation_id == EvaluationRow.id)
        .where(AlertObservationRow.alert_id == AlertRow.id)
        .order_by(*order)
        .limit(1)
        .correlate(AlertRow)
        .scalar_subquery()
    )
    return select(*AlertRow.__table__.c, last.label("evaluation_id"))


def _alert(row: RowMapping, now: datetime) -> ListedAlert:
    alert = stored_alert(row)
    muted = alert.resolved_at is None and alert.muted_until is not None and alert.muted_until > now
    return ListedAlert(alert=alert, muted=muted, evaluation_id=row["evaluation_id"])


def _of(chosen: AlertSelection) -> ColumnElement[bool]:
    conditions: list[ColumnElement[bool]] = [true()]
    if chosen.model_name is not None:
        conditions.append(AlertRow.name_digest == name_digest(chosen.model_name))
    if chosen.severity is not None:
        conditions.append(AlertRow.severity == chosen.severity.value)
    return and_(*conditions)


def _states(now: datetime) -> dict[AlertState, ColumnElement[bool]]:
    is_open = AlertRow.resolved_at.is_(None)
    return {
        AlertState.OPEN: is_open,
        AlertState.MUTED: and_(is_open, AlertRow.muted_until > now),
        AlertState.ACKNOWLEDGED: and_(is_open, AlertRow.acknowledged_at.is_not(None)),
        AlertState.RESOLVED: AlertRow.resolved_at.is_not(None),
        AlertState.ALL: true(),
    }


def _counts(
    connection: Connection, chosen: AlertSelection, states: dict[AlertState, ColumnElement[bool]]
) -> dict[AlertState, int]:
    columns = [func.count(AlertRow.id).filter(condition).label(state.value) for state, condition in states.items()]
    row = connection.execute(select(*columns).where(_of(chosen))).one()
    return dict(zip(states, row, strict=True))
