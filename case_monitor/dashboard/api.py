"""The JSON API: the records behind the pages, in pages, and as files."""

from collections.abc import Callable
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, HTTPException, Path, Query, Request, Response
from pydantic import BaseModel
from sqlalchemy import Engine

from case_monitor.dashboard.json_items import (
    CellItem,
    ClassItem,
    ContrastItem,
    EvaluationItem,
    PromotionItem,
    RuleItem,
    ScoreItem,
    Selection,
    SummaryItem,
    is_stored,
    read_items,
)
from case_monitor.dashboard.overview import OverviewQuery, overview
from case_monitor.domain.verdict import Status
from case_monitor.store.read.overview import ModelOverview

api = APIRouter(prefix="/api/v1")
Content = TypeVar("Content")

MAX_PER_PAGE = 1000
# What PostgreSQL takes as text has no NUL.
Text = Annotated[str | None, Query(max_length=10_000, pattern=r"^[^\x00]*$")]
EvaluationId = Annotated[int, Path(ge=1, le=2**31 - 1)]
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
PerPage = Annotated[int, Query(ge=1, le=MAX_PER_PAGE)]
Version = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


class Listed(BaseModel, Generic[Content]):
    """Part of a list: `total` items in all, of which this is page number `page`."""

    items: tuple[Content, ...]
    total: int
    page: int
    per_page: int


class Refusal(BaseModel):
    """Why there is no answer."""

    detail: str


_NOT_STORED: dict[int | str, dict[str, Any]] = {404: {"model": Refusal, "description": "The evaluation is not stored."}}


@api.get("/models", response_model=Listed[ModelOverview])
def list_models(
    request: Request, q: str = "", verdict: Status | None = None, page: PageNumber = 1, per_page: PerPage = 100
) -> Response:
    """Every model with what is in production, its newest version and its open alerts, as on the first page."""
    state = request.app.state

    def render() -> bytes:
        models = overview(state.engine, state.settings, OverviewQuery(q=q, verdict=verdict)).models
        shown = models[(page - 1) * per_page : page * per_page]
        found = Listed[ModelOverview](items=shown, total=len(models), page=page, per_page=per_page)
        return found.model_dump_json().encode()

    answer: Response = state.pages.answer(request, state.engine, "application/json", render)
    return answer


@api.get("/evaluations")
def list_evaluations(
    request: Request, model: Text = None, version: Version = None, page: PageNumber = 1, per_page: PerPage = 100
) -> Listed[EvaluationItem]:
    """Evaluations, the last saved first."""
    return _listed(request, EvaluationItem, Selection(model_name=model, version=version), page, per_page)


@api.get("/promotions")
def list_promotions(
    request: Request, model: Text = None, version: Version = None, page: PageNumber = 1, per_page: PerPage = 100
) -> Listed[PromotionItem]:
    """The gate's decisions, the last first."""
    return _listed(request, PromotionItem, Selection(model_name=model, version=version), page, per_page)


@api.get("/evaluations/{evaluation_id}", responses=_NOT_STORED)
def show_evaluation(request: Request, evaluation_id: EvaluationId) -> EvaluationItem:
    """One evaluation; its parts have addresses of their own."""
    items, _ = read_items(request.app.state.engine, EvaluationItem, Selection(evaluation_id=evaluation_id))
    if not items:
        raise HTTPException(404, f"evaluation {evaluation_id} is not stored")
    return items[0]


@api.get("/evaluations/{evaluation_id}/rules", responses=_NOT_STORED)
def list_rules(
    request: Request, evaluation_id: EvaluationId, page: PageNumber = 1, per_page: PerPage = 100
) -> Listed[RuleItem]:
    """The evidence of the verdict, rule by rule."""
    return _parts(request, RuleItem, evaluation_id, page, per_page)


@api.get("/evaluations/{evaluation_id}/summaries", responses=_NOT_STORED)
def list_summaries(
    request: Request,
    evaluation_id: EvaluationId,
    metric: Text = None,
    method: Text = None,
    page: PageNumber = 1,
    per_page: PerPage = 100,
) -> Listed[SummaryItem]:
    """Every figure with its uncertainty, over all classes and per class."""
    return _parts(request, SummaryItem, evaluation_id, page, per_page, metric=metric, method=method)


@api.get("/evaluations/{evaluation_id}/classes", responses=_NOT_STORED)
def list_classes(
    request: Request, evaluation_id: EvaluationId, page: PageNumber = 1, per_page: PerPage = 100
) -> Listed[ClassItem]:
    """Quality of each class."""
    return _parts(request, ClassItem, evaluation_id, page, per_page)


@api.get("/evaluations/{evaluation_id}/confusion", responses=_NOT_STORED)
def list_cells(
    request: Request, evaluation_id: EvaluationId, page: PageNumber = 1, per_page: PerPage = 100
) -> Listed[CellItem]:
    """The confusion matrix without its zeros."""
    return _parts(request, CellItem, evaluation_id, page, per_page)


@api.get("/evaluations/{evaluation_id}/contrast-sets", responses=_NOT_STORED)
def list_contrast_sets(
    request: Request, evaluation_id: EvaluationId, page: PageNumber = 1, per_page: PerPage = 100
) -> Listed[ContrastItem]:
    """The classes that each class is confused with."""
    return _parts(request, ContrastItem, evaluation_id, page, per_page)


@api.get("/evaluations/{evaluation_id}/scores", responses=_NOT_STORED)
def list_scores(
    request: Request,
    evaluation_id: EvaluationId,
    metric: Text = None,
    method: Text = None,
    page: PageNumber = 1,
    per_page: PerPage = 100,
) -> Listed[ScoreItem]:
    """Scores of the explained images; none once they were pruned."""
    return _parts(request, ScoreItem, evaluation_id, page, per_page, metric=metric, method=method)


class Part(StrEnum):
    """What can be downloaded as a file."""

    RULES = "rules"
    SUMMARIES = "summaries"
    CLASSES = "classes"
    CONFUSION = "confusion"
    CONTRAST_SETS = "contrast-sets"
    SCORES = "scores"


class Format(StrEnum):
    """Of a file."""

    CSV = "csv"
    PARQUET = "parquet"


_KINDS: dict[Part, type[Any]] = {
    Part.RULES: RuleItem,
    Part.SUMMARIES: SummaryItem,
    Part.CLASSES: ClassItem,
    Part.CONFUSION: CellItem,
    Part.CONTRAST_SETS: ContrastItem,
    Part.SCORES: ScoreItem,
}
_MEDIA_TYPES = {Format.CSV: "text/csv", Format.PARQUET: "application/vnd.apache.parquet"}
_FILE: dict[int | str, dict[str, Any]] = {
    **_NOT_STORED,
    200: {
        "description": "The whole part as a file.",
        "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in _MEDIA_TYPES.values()},
    },
}


@api.get("/evaluations/{evaluation_id}/{part}.{file_format}", responses=_FILE, response_class=Response)
async def download(request: Request, evaluation_id: EvaluationId, part: Part, file_format: Format) -> Response:
    """A part of an evaluation as CSV or Parquet, with the columns of its JSON."""
    engine = request.app.state.engine
    return await to_thread.run_sync(_file, engine, evaluation_id, part, file_format, limiter=_FILES)


def _file(engine: Engine, evaluation_id: int, part: Part, file_format: Format) -> Response:
    _require(engine, evaluation_id)
    items, _ = read_items(engine, _KINDS[part], Selection(evaluation_id=evaluation_id))
    name = f"evaluation-{evaluation_id}-{part}.{file_format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    body = _writers()[file_format](_KINDS[part], items)
    return Response(body, media_type=_MEDIA_TYPES[file_format], headers=headers)


# Files are made in memory: a few at a time, so that pages have threads and memory left.
_FILES = CapacityLimiter(2)


def _writers() -> dict[Format, Callable[[type[Any], tuple[Any, ...]], bytes]]:
    from case_monitor.dashboard.item_files import csv_of, parquet_of  # pandas takes its time

    return {Format.CSV: csv_of, Format.PARQUET: parquet_of}


def _parts(
    request: Request,
    kind: type[Any],
    evaluation_id: int,
    page: int,
    per_page: int,
    *,
    metric: str | None = None,
    method: str | None = None,
) -> Listed[Any]:
    _require(request.app.state.engine, evaluation_id)
    chosen = Selection(evaluation_id=evaluation_id, metric=metric, method=method)
    return _listed(request, kind, chosen, page, per_page)


def _listed(request: Request, kind: type[Any], chosen: Selection, page: int, per_page: int) -> Listed[Any]:
    offset = (page - 1) * per_page
    items, total = read_items(request.app.state.engine, kind, chosen, limit=per_page, offset=offset)
    return Listed(items=items, total=total, page=page, per_page=per_page)


def _require(engine: Engine, evaluation_id: int) -> None:
    if not is_stored(engine, evaluation_id):
        raise HTTPException(404, f"evaluation {evaluation_id} is not stored")
