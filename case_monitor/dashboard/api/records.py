"""The records of the pages about a model, as JSON: what a page says, a program can read."""

from collections.abc import Callable
from typing import TypeVar

from fastapi import APIRouter, Request, Response
from pydantic import TypeAdapter

from case_monitor.dashboard.api.seed_query import Seeds
from case_monitor.dashboard.api.shapes import (
    NOT_EVALUATED,
    Listed,
    Name,
    PageNumber,
    PerPage,
    Short,
    Text,
    Version,
)
from case_monitor.dashboard.pages.compare.read import comparison
from case_monitor.dashboard.pages.compare.record import CompareQuery, Comparison
from case_monitor.dashboard.pages.model.read import model as model_quality
from case_monitor.dashboard.pages.model.record import By, Model, ModelQuery
from case_monitor.dashboard.pages.seeds.study import SeedStudy, seed_study
from case_monitor.dashboard.shell.records import Record
from case_monitor.dashboard.shell.resources import Held, Resources
from case_monitor.domain.policy import Severity
from case_monitor.store.read.alert_list import AlertSelection, AlertState, ListedAlert, read_alert_list

Answer = TypeVar("Answer")

records = APIRouter(prefix="/api/v1")


@records.get("/quality", response_model=Model, responses=NOT_EVALUATED)
def show_quality(
    request: Request, held: Held, model: Name, by: By = By.VERSION, area: Short = None, page: PageNumber = 1
) -> Response:
    """A model through its versions or over time: figures by column, decisions, alerts."""
    chosen = ModelQuery(name=model, by=by, area=area, page=page)
    return _kept(request, held, chosen, Model, lambda: model_quality(held.engine, held.settings, chosen))


@records.get("/comparison", response_model=Comparison, responses=NOT_EVALUATED)
def show_comparison(
    request: Request,
    held: Held,
    model: Name,
    candidate: Version = None,
    baseline: Version = None,
    layer: Short = None,
    baseline_layer: Short = None,
    method: Short = None,
) -> Response:
    """Two versions of a model; without numbers the newest, beside what it was compared with.

    One version twice is compared with itself at another layer.
    """
    chosen = CompareQuery(
        model=model,
        candidate=candidate,
        baseline=baseline,
        layer=layer or None,
        baseline_layer=baseline_layer or None,
        method=method,
    )
    return _kept(request, held, chosen, Comparison, lambda: comparison(held.engine, held.settings, chosen))


@records.get("/seeds", response_model=SeedStudy, responses=NOT_EVALUATED)
def show_seeds(request: Request, held: Held, chosen: Seeds) -> Response:
    """How much the figures of versions with different seeds differ: those of a group, or named ones."""
    return _kept(request, held, chosen, SeedStudy, lambda: seed_study(held.engine, chosen))


@records.get("/alerts")
def list_alerts(
    held: Held,
    model: Text = None,
    state: AlertState = AlertState.OPEN,
    severity: Severity | None = None,
    page: PageNumber = 1,
    per_page: PerPage = 100,
) -> Listed[ListedAlert]:
    """Alerts, the newest first; beyond the last page the last one again."""
    chosen = AlertSelection(model_name=model, state=state, severity=severity)
    found = read_alert_list(held.engine, chosen, held.now(), page, per_page)
    return Listed(items=found.alerts, total=found.counts[state], page=found.number, per_page=per_page)


def _kept(request: Request, held: Resources, asked: Record, kind: type[Answer], read: Callable[[], Answer]) -> Response:
    """As pages are: until the database says otherwise."""
    return held.pages.answer(
        request, held.engine, asked, "application/json", lambda: TypeAdapter(kind).dump_json(read())
    )
