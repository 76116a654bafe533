"""Overview: which versions can be trusted, at a glance."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request, Response
from sqlalchemy import Engine

from case_monitor.dashboard.shell.rendering import page
from case_monitor.dashboard.shell.resources import Held
from case_monitor.domain.policy import CLASS_SPECIFIC
from case_monitor.domain.status import Status
from case_monitor.settings import Settings
from case_monitor.store.read.overview import ModelOverview, read_overview

pages = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewQuery:
    """Which models to show: those with `q` in their names, and whose newest version has this verdict."""

    q: str = ""
    verdict: Status | None = None

    def fits(self, model: ModelOverview) -> bool:
        """Whether to show a model."""
        return self.q.casefold() in model.name.casefold() and self.verdict in (None, model.verdict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """`waiting` are configured models without an evaluation so far; `limit` is the default's on pair contrast."""

    chosen: OverviewQuery
    models: tuple[ModelOverview, ...]
    waiting: tuple[str, ...]
    verdicts: dict[Status, int]
    limit: float


def overview(engine: Engine, settings: Settings, chosen: OverviewQuery) -> Overview:
    """Every model that is configured or stored."""
    models = read_overview(engine, settings.alias)
    known = {model.name for model in models}
    return Overview(
        chosen=chosen,
        models=tuple(filter(chosen.fits, models)),
        waiting=tuple(name for name in settings.models if name not in known),
        verdicts={status: sum(m.verdict is status for m in models) for status in Status},
        limit=CLASS_SPECIFIC,
    )


@pages.get("/")
def show_overview(request: Request, held: Held, q: str = "", verdict: Status | Literal[""] = "") -> Response:
    """The first page."""
    chosen = OverviewQuery(q=q, verdict=verdict or None)
    return page(request, "overview.html", chosen, lambda: overview(held.engine, held.settings, chosen))
