"""Alerts as they are stored, and who may do what about them."""

from sqlalchemy import Engine

from case_monitor.dashboard.pages.alerts.record import Action, AlertsPage, Problem, View, WayToWrite
from case_monitor.dashboard.shell.paging import Pages
from case_monitor.dashboard.shell.resources import Resources
from case_monitor.dashboard.shell.visitor import Visitor
from case_monitor.settings import Settings
from case_monitor.store.read.alert_list import AlertList, names_with_alerts, read_alert, read_alert_list

PAGE_SIZE = 25
DONE = {
    Action.ACKNOWLEDGE: "is acknowledged.",
    Action.MUTE: "is muted.",
    Action.UNMUTE: "is heard again.",
}


def alerts_page(
    held: Resources, root: str, view: View, visitor: Visitor, *, done: str | None = None, problem: Problem | None = None
) -> AlertsPage:
    """What the page shows; `root` is what addresses begin with."""
    found = read_alert_list(held.engine, view.selection, held.now(), view.page, PAGE_SIZE)
    return AlertsPage(
        view=view,
        found=found,
        turning=_turning(view, found, root),
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


def said(held: Resources, alert_id: int, done: Action) -> str | None:
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
