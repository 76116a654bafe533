"""A model's page: how its versions did, one after the other."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from case_monitor.dashboard.pages.model import words as model_words
from case_monitor.dashboard.pages.model.charts import quality_figure
from case_monitor.dashboard.pages.model.read import model
from case_monitor.dashboard.pages.model.record import By, Model, ModelQuery
from case_monitor.dashboard.parts.charts import Figure
from case_monitor.dashboard.shell.paging import PAGE_SIZE
from case_monitor.dashboard.shell.rendering import page
from case_monitor.dashboard.shell.resources import Held
from case_monitor.domain.methods import method_title
from case_monitor.domain.metric import Unit
from case_monitor.domain.metrics import row_of

pages = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRow:
    """One point of a chart in figures, one for each of the chart's methods."""

    label: str
    evaluation_id: int
    values: tuple[float | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class QualityChart:
    """A chart with its finding; `figure` None: nothing is defined. `numbers` are of its last points."""

    id: str
    title: str
    figure: Figure | None
    finding: str
    is_share: bool
    columns: tuple[str, ...]
    numbers: tuple[NumberRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelPage:
    """The model, and what is drawn of it."""

    model: Model
    charts: tuple[QualityChart, ...]


@pages.get("/model")
def show_model(
    request: Request,
    held: Held,
    name: str,
    by: By = By.VERSION,
    area: str = "",
    page_number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> Response:
    """One model."""
    root = request.scope.get("root_path", "")
    chosen = ModelQuery(name=name, by=by, area=area or None, page=page_number)
    return page(request, "model.html", chosen, lambda: with_charts(model(held.engine, held.settings, chosen), root))


def with_charts(found: Model, root: str) -> ModelPage:
    """The model with its charts; `root` is what addresses begin with."""
    kinds: list[tuple[str, str, Callable[[Model], str]]] = [
        ("accuracy", "accuracy", model_words.accuracy),
        ("knows", "pair_contrast", model_words.knows_its_class),
        ("agreement", "agreement_median", model_words.agreement),
    ]
    if found.area is not None:
        kinds.append(("drop", f"confidence_drop_{found.area}", model_words.drop))
    kinds += [
        ("degenerate", "agreement_degenerate_rate", model_words.degenerate),
        ("drift", "baseline_agreement", model_words.drift),
        ("contrast", "contrast_jaccard", model_words.contrast),
    ]
    return ModelPage(model=found, charts=tuple(_chart(found, *kind, root) for kind in kinds))


def _chart(found: Model, id_: str, metric: str, finding: Callable[[Model], str], root: str) -> QualityChart:
    row = row_of(metric)
    order = ("", *found.methods)
    series = sorted(
        (s for s in found.series if s.metric == metric and s.method in order), key=lambda s: order.index(s.method)
    )
    last = range(len(found.points) - 1, max(len(found.points) - 1 - PAGE_SIZE, -1), -1)
    return QualityChart(
        id=id_,
        title=row.chart,
        figure=quality_figure(found, metric, root),
        finding=finding(found),
        is_share=row.unit is Unit.SHARE,
        columns=tuple(method_title(s.method) if s.method else row.chart for s in series),
        numbers=tuple(
            NumberRow(
                label=model_words.where(found, found.points[i]),
                evaluation_id=found.points[i].evaluation_id,
                values=tuple(s.value[i] for s in series),
            )
            for i in last
        ),
    )
