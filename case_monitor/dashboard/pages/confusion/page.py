"""Confusion matrix: which classes are taken for which, as a drawing, as lists, and as what CASE makes of it."""

import json
from dataclasses import fields
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from case_monitor.dashboard.pages.confusion.read import confusion_cells, confusion_page
from case_monitor.dashboard.pages.confusion.record import ClassOrder, ConfusionQuery
from case_monitor.dashboard.parts.class_ref import ClassIndex
from case_monitor.dashboard.parts.evaluation_head import EvaluationId
from case_monitor.dashboard.shell.rendering import page
from case_monitor.dashboard.shell.resources import Held

pages = APIRouter()


@pages.get("/evaluation/{evaluation_id}/confusion")
def show_confusion(
    request: Request,
    held: Held,
    evaluation_id: EvaluationId,
    order: ClassOrder | Literal[""] = ClassOrder.INDEX,
    class_idx: Annotated[ClassIndex, Query(alias="class")] = None,
) -> Response:
    """The confusions of an evaluation."""
    chosen = ConfusionQuery(order=order or ClassOrder.INDEX, class_idx=None if class_idx == "" else class_idx)
    return page(
        request, "confusion.html", chosen, lambda: confusion_page(held.engine, held.settings, evaluation_id, chosen)
    )


@pages.get("/evaluation/{evaluation_id}/confusion.json")
def send_cells(
    request: Request, held: Held, evaluation_id: EvaluationId, order: ClassOrder = ClassOrder.INDEX
) -> Response:
    """The confusion matrix for the drawing, which is the page's script."""

    def cells() -> bytes:
        found = confusion_cells(held.engine, evaluation_id, order)
        return json.dumps({f.name: getattr(found, f.name) for f in fields(found)}, separators=(",", ":")).encode()

    return held.pages.answer(request, held.engine, ConfusionQuery(order=order), "application/json", cells)
