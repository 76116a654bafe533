"""The alerts: what is open, since when, who knows about it, and how to say that one does."""

from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError

from case_monitor.dashboard.pages.alerts.changes import Acknowledgement, Change, Mute, Unmute
from case_monitor.dashboard.pages.alerts.read import alerts_page, said
from case_monitor.dashboard.pages.alerts.record import Action, Problem, Shown, View
from case_monitor.dashboard.shell.forms import OwnForm
from case_monitor.dashboard.shell.rendering import page, render, root_of
from case_monitor.dashboard.shell.resources import Held, Resources
from case_monitor.dashboard.shell.visitor import Visitor, visitor_of
from case_monitor.domain.errors import ClosedAlertError
from case_monitor.domain.policy import Severity
from case_monitor.store.read.alert_list import AlertSelection, AlertState

pages = APIRouter()

ANYBODY = Visitor(may_read=True)
PROBLEMS = {
    "by": "Say who, in at most 200 characters.",
    "reason": "Say why, in at most 1000 characters.",
    "until": "Say until when: a time in the future.",
}


def view(
    model: Annotated[str, Query(max_length=10_000)] = "",
    state: AlertState = AlertState.OPEN,
    severity: Severity | Literal[""] = "",
    number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> View:
    """The view that an address is for."""
    return View(selection=AlertSelection(model_name=model or None, state=state, severity=severity or None), page=number)


@pages.get("/alerts")
def show_alerts(
    request: Request,
    held: Held,
    view: Annotated[View, Depends(view)],
    done: Action | None = None,
    alert: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
) -> Response:
    """A page of alerts. It is kept for those who only read: to others it says who they are."""
    visitor = visitor_of(request)
    told = said(held, alert, done) if alert and done else None
    if visitor.may_write or visitor.user:
        return _page(request, held, view, done=told)
    return page(
        request,
        "alerts.html",
        Shown(view=view, done=told),
        lambda: alerts_page(held, root_of(request), view, ANYBODY, done=told),
    )


@pages.post("/alerts/{alert_id}/{action}")
def change_alert(
    request: Request,
    held: Held,
    alert_id: Annotated[int, Path(ge=1, le=2**31 - 1)],
    action: Action,
    view: Annotated[View, Depends(view)],
    fields: OwnForm,
) -> Response:
    """Do it and show the same alerts again; or say beside the form why not."""
    try:
        _change(action, fields, visitor_of(request)).apply(held.engine, alert_id)
    except ValidationError as error:
        wrong = {str(item["loc"][0]): PROBLEMS[str(item["loc"][0])] for item in error.errors()}
        text = f"Alert {alert_id} is as it was: something is missing in the form."
        problem = Problem(alert_id=alert_id, action=action, text=text, fields=wrong, typed=fields)
        return _page(request, held, view, problem=problem, status=422)
    except ClosedAlertError:
        text = f"Alert {alert_id} is not open any more, so that nothing was changed."
        return _page(
            request, held, view, problem=Problem(alert_id=alert_id, action=action, text=text, typed=fields), status=409
        )
    return RedirectResponse(root_of(request) + view.address(done=action, alert=alert_id), 303)


def _change(action: Action, fields: dict[str, str], visitor: Visitor) -> Change:
    """What the form asks for; raises ValidationError."""
    by = visitor.user or fields.get("by", "")
    if action is Action.ACKNOWLEDGE:
        return Acknowledgement.model_validate({"by": by})
    if action is Action.MUTE:
        return Mute.model_validate({"until": _until(fields), "reason": fields.get("reason", ""), "by": by})
    return Unmute()


def _until(fields: dict[str, str]) -> str:
    """The time in UTC: a script turns what was typed into it; without it, UTC was typed."""
    return fields.get("until_utc") or f"{fields.get('until', '')}Z"


def _page(
    request: Request,
    held: Resources,
    view: View,
    *,
    done: str | None = None,
    problem: Problem | None = None,
    status: int = 200,
) -> Response:
    context = alerts_page(held, root_of(request), view, visitor_of(request), done=done, problem=problem)
    return HTMLResponse(render(request, "alerts.html", context), status)
