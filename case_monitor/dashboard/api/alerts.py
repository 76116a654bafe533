"""Acknowledge and mute alerts by program: with the write token in `Authorization: Bearer`."""

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Path, Request

from case_monitor.dashboard.api.shapes import Refusal
from case_monitor.dashboard.pages.alerts.changes import Acknowledgement, Change, Mute, Unmute
from case_monitor.dashboard.shell.resources import Held, Resources
from case_monitor.dashboard.shell.visitor import visitor_of
from case_monitor.domain.errors import ClosedAlertError
from case_monitor.store.read.alert_list import ListedAlert, read_alert

AlertId = Annotated[int, Path(ge=1, le=2**31 - 1)]

_REASONS = {
    401: "There is no token, or it is not known.",
    403: "The token reads only, or nobody may write.",
    404: "There is no such alert.",
    409: "The alert is resolved.",
    422: "The body or the address is wrong.",
    429: "Too many wrong tokens came.",
}
_REFUSALS: dict[int | str, dict[str, object]] = {
    status: {"model": Refusal, "description": reason} for status, reason in _REASONS.items()
}


def needs_token(request: Request) -> None:
    """A browser's cookie is not enough: a form of another site could not bring the token."""
    if not visitor_of(request).by_token:
        detail = "Send the write token as Authorization: Bearer."
        raise HTTPException(401, detail, {"WWW-Authenticate": "Bearer"})


alerts = APIRouter(prefix="/api/v1/alerts", responses=_REFUSALS, dependencies=[Depends(needs_token)])


@alerts.post("/{alert_id}/acknowledge")
def acknowledge_alert(held: Held, alert_id: AlertId, body: Acknowledgement) -> ListedAlert:
    """Note who looks after an open alert: only a warning that comes to block, and its end, are told from then on."""
    return _changed(held, alert_id, body)


@alerts.post("/{alert_id}/mute")
def mute_alert(held: Held, alert_id: AlertId, body: Mute) -> ListedAlert:
    """Keep an open alert quiet until some time; if it is still open then, it is told once more."""
    return _changed(held, alert_id, body)


@alerts.post("/{alert_id}/unmute")
def unmute_alert(held: Held, alert_id: AlertId) -> ListedAlert:
    """Let an open alert be heard again."""
    return _changed(held, alert_id, Unmute())


def _changed(held: Resources, alert_id: int, change: Change) -> ListedAlert:
    engine, now = held.engine, held.now()
    if read_alert(engine, alert_id, now) is None:
        raise HTTPException(404, f"There is no alert {alert_id}.")
    try:
        change.apply(engine, alert_id)
    except ClosedAlertError:
        raise HTTPException(409, f"Alert {alert_id} is resolved.") from None
    alert = read_alert(engine, alert_id, now)
    if alert is None:  # pruned at this very moment
        raise HTTPException(404, f"There is no alert {alert_id}.")
    return alert
