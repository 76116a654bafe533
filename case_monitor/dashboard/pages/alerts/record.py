"""What the page of alerts shows, and what can be asked of it."""

from dataclasses import dataclass, field
from enum import StrEnum

from case_monitor.dashboard.shell.paging import Pages
from case_monitor.dashboard.shell.rendering import address
from case_monitor.dashboard.shell.visitor import Visitor
from case_monitor.store.read.alert_list import AlertList, AlertSelection, AlertState


class Action(StrEnum):
    """What can be done to an alert."""

    ACKNOWLEDGE = "acknowledge"
    MUTE = "mute"
    UNMUTE = "unmute"


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
