"""The models of the first page, as JSON."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from case_monitor.dashboard.api.shapes import Listed, PageNumber, PerPage
from case_monitor.dashboard.pages.overview.page import OverviewQuery, overview
from case_monitor.dashboard.shell.resources import Held
from case_monitor.domain.status import Status
from case_monitor.store.read.overview import ModelOverview

models = APIRouter(prefix="/api/v1")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelsQuery:
    """Which of the overview's models."""

    chosen: OverviewQuery
    page: int
    per_page: int


@models.get("/models", response_model=Listed[ModelOverview])
def list_models(
    request: Request,
    held: Held,
    q: str = "",
    verdict: Status | None = None,
    page: PageNumber = 1,
    per_page: PerPage = 100,
) -> Response:
    """Every model with what is in production, its newest version and its open alerts, as on the first page."""
    asked = ModelsQuery(chosen=OverviewQuery(q=q, verdict=verdict), page=page, per_page=per_page)

    def render() -> bytes:
        found = overview(held.engine, held.settings, asked.chosen).models
        shown = found[(page - 1) * per_page : page * per_page]
        listed = Listed[ModelOverview](items=shown, total=len(found), page=page, per_page=per_page)
        return listed.model_dump_json().encode()

    return held.pages.answer(request, held.engine, asked, "application/json", render)
