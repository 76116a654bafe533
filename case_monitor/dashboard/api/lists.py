"""Evaluations, the gate's decisions, and the parts of an evaluation, as JSON in pages."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException

from case_monitor.dashboard.api.items import EvaluationItem, PromotionItem, Selection, read_items
from case_monitor.dashboard.api.parts import PARTS, PartRow, require_evaluation
from case_monitor.dashboard.api.shapes import NOT_STORED, EvaluationId, Listed, PageNumber, PerPage, Text, Version
from case_monitor.dashboard.shell.resources import Held, Resources

lists = APIRouter(prefix="/api/v1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which items, and which page of them."""

    of: Selection
    page: int
    per_page: int


# These are coroutines because FastAPI gives each plain function a thread.
async def _of_model(
    model: Text = None, version: Version = None, page: PageNumber = 1, per_page: PerPage = 100
) -> Asked:
    return Asked(of=Selection(model_name=model, version=version), page=page, per_page=per_page)


async def _of_evaluation(evaluation_id: EvaluationId, page: PageNumber = 1, per_page: PerPage = 100) -> Asked:
    return Asked(of=Selection(evaluation_id=evaluation_id), page=page, per_page=per_page)


async def _of_figures(
    evaluation_id: EvaluationId,
    metric: Text = None,
    method: Text = None,
    page: PageNumber = 1,
    per_page: PerPage = 100,
) -> Asked:
    chosen = Selection(evaluation_id=evaluation_id, metric=metric, method=method)
    return Asked(of=chosen, page=page, per_page=per_page)


OfModel = Annotated[Asked, Depends(_of_model)]


@lists.get("/evaluations")
def list_evaluations(held: Held, asked: OfModel) -> Listed[EvaluationItem]:
    """Evaluations, the last saved first."""
    return _listed(held, EvaluationItem, asked)


@lists.get("/promotions")
def list_promotions(held: Held, asked: OfModel) -> Listed[PromotionItem]:
    """The gate's decisions, the last first."""
    return _listed(held, PromotionItem, asked)


@lists.get("/evaluations/{evaluation_id}", responses=NOT_STORED)
def show_evaluation(held: Held, evaluation_id: EvaluationId) -> EvaluationItem:
    """One evaluation; its parts have addresses of their own."""
    items, _ = read_items(held.engine, EvaluationItem, Selection(evaluation_id=evaluation_id))
    if not items:
        raise HTTPException(404, f"evaluation {evaluation_id} is not stored")
    return items[0]


def _lists(row: PartRow) -> Callable[..., Listed[object]]:
    """Answers with a page of one part."""
    reads = _of_figures if row.of_figures else _of_evaluation

    def list_part(held: Held, asked: Annotated[Asked, Depends(reads)]) -> Listed[object]:
        return _listed(held, row.kind, asked)

    return list_part


for part, row in PARTS.items():
    lists.add_api_route(
        f"/evaluations/{{evaluation_id}}/{part}",
        _lists(row),
        name=f"list_{row.items}",
        description=row.says,
        response_model=Listed.__class_getitem__(row.kind),  # mypy takes Listed[row.kind] for a type of its own making
        responses=NOT_STORED,
    )


def _listed(held: Resources, kind: type[Any], asked: Asked) -> Listed[Any]:
    if asked.of.evaluation_id is not None:
        require_evaluation(held.engine, asked.of.evaluation_id)
    offset = (asked.page - 1) * asked.per_page
    items, total = read_items(held.engine, kind, asked.of, limit=asked.per_page, offset=offset)
    return Listed(items=items, total=total, page=asked.page, per_page=asked.per_page)
