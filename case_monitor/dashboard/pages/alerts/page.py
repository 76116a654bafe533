"""The alerts: what is open, since when, who knows about it, and how to say that one does."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import ValidationError
from sqlalchemy import Engine

from case_monitor.dashboard.pages.alerts.changes import Acknowledgement, Change, Mute, Unmute
from case_monitor.dashboard.shell.forms import OwnForm
from case_monitor.dashboard.shell.paging import Pages
from case_monitor.dashboard.shell.rendering import address, page, render, root_of
from case_monitor.dashboard.shell.resources import Held, Resources, resources_of
from case_monitor.dashboard.shell.visitor import Visitor, visitor_of
from case_monitor.domain.errors import ClosedAlertError
from case_monitor.domain.policy import Severity
from case_monitor.settings import Settings
from case_monitor.store.read.alert_list import (
    AlertList,
    AlertSelection,
    AlertState,
    names_with_alerts,
    read_alert,
    read_alert_list,
)

PAGE_SIZE = 25
pages = APIRouter()


ANYBODY = Visitor(may_read=True)


class Action(StrEnum):
    """What can be done to an alert."""

    ACKNOWLEDGE = "acknowledge"
    MUTE = "mute"
    UNMUTE = "unmute"


DONE = {
    Action.ACKNOWLEDGE: "is acknowledged.",
    Action.MUTE: "is muted.",
    Action.UNMUTE: "is heard again.",
}
PROBLEMS = {
    "by": "Say who, in at most 200 characters.",
    "reason": "Say why, in at most 1000 characters.",
    "until": "Say until when: a time in the future.",
}


class WayToWrite(StrEnum):
    """What whoever may not write has to do about it."""

    LOG_IN = "log in"
    BE_NAMED = "be named"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Which alerts are shown; `page` counts from 1."""

    selection: AlertSelection
    page: int

    def address(self, path: str = "/alerts", **more: object) -> str:
        """A link to it, or to `path` with the same query."""
        chosen = self.selection
        state = None if chosen.state is AlertState.OPEN else chosen.state
        query = {"model": chosen.model_name, "state": state, "severity": chosen.severity}
        return address(path, **query | {"page": None if self.page == 1 else self.page} | more)


def view(
    model: Annotated[str, Query(max_length=10_000)] = "",
    state: AlertState = AlertState.OPEN,
    severity: Severity | Literal[""] = "",
    number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> View:
    """The view that an address is for."""
    return View(selection=AlertSelection(model_name=model or None, state=state, severity=severity or None), page=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why nothing was done: `fields` has a text for each wrong field of the form, `typed` what was sent."""

    alert_id: int
    action: Action
    text: str
    fields: dict[str, str] = field(default_factory=dict)
    typed: dict[str, str] = field(default_factory=dict)

    def is_about(self, alert_id: int, action: str) -> bool:
        """Whether this form was sent."""
        return (self.alert_id, self.action) == (alert_id, action)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertsPage:
    """`done` says what was done just now; `way` is for visitors who may not write."""

    view: View
    found: AlertList
    turning: Pages
    names: tuple[str, ...]
    visitor: Visitor
    way: WayToWrite
    done: str | None
    problem: Problem | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What makes one page for all who only read."""

    view: View
    done: str | None


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
    said = _said(held, alert, done) if alert and done else None
    if visitor.may_write or visitor.user:
        return _page(request, view, done=said)
    return page(
        request, "alerts.html", Shown(view=view, done=said), lambda: _context(request, view, ANYBODY, done=said)
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
        return _page(request, view, problem=problem, status=422)
    except ClosedAlertError:
        text = f"Alert {alert_id} is not open any more, so that nothing was changed."
        return _page(
            request, view, problem=Problem(alert_id=alert_id, action=action, text=text, typed=fields), status=409
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


def _said(held: Resources, alert_id: int, done: Action) -> str | None:
    """What was done just now: an address can claim anything, so only what the alert bears out."""
    listed = read_alert(held.engine, alert_id, held.now())
    if listed is None:
        return None
    is_so = {
        Action.ACKNOWLEDGE: listed.alert.acknowledged_at is not None,
        Action.MUTE: listed.muted,
        Action.UNMUTE: listed.alert.muted_until is None,
    }
    return f"Alert {alert_id} {DONE[done]}" if is_so[done] else None


def _page(
    request: Request, view: View, *, done: str | None = None, problem: Problem | None = None, status: int = 200
) -> Response:
    context = _context(request, view, visitor_of(request), done=done, problem=problem)
    return HTMLResponse(render(request, "alerts.html", context), status)


def _context(
    request: Request, view: View, visitor: Visitor, *, done: str | None = None, problem: Problem | None = None
) -> AlertsPage:
    held = resources_of(request)
    found = read_alert_list(held.engine, view.selection, held.now(), view.page, PAGE_SIZE)
    return AlertsPage(
        view=view,
        found=found,
        turning=_turning(view, found, root_of(request)),
        names=_names(held.engine, view),
        visitor=visitor,
        way=way_to_write(held.settings),
        done=done,
        problem=problem,
    )


def _turning(view: View, found: AlertList, root: str) -> Pages:
    number, total = found.number, found.pages
    return Pages(
        number=number,
        total=total,
        previous=root + view.address(page=number - 1) if number > 1 else None,
        next=root + view.address(page=number + 1) if number < total else None,
    )


def _names(engine: Engine, view: View) -> tuple[str, ...]:
    """To choose from; the one that was asked for is among them."""
    names, chosen = names_with_alerts(engine), view.selection.model_name
    return names if chosen is None or chosen in names else (chosen, *names)


def way_to_write(settings: Settings) -> WayToWrite:
    """What to do to become one who may write."""
    if settings.write_token is not None:
        return WayToWrite.LOG_IN
    return WayToWrite.BE_NAMED if settings.trusted_proxy is not None else WayToWrite.NONE
