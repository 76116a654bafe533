"""Evaluation: why a version has its verdict."""

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from sqlalchemy import Engine

from case_monitor.dashboard.evaluation_head import EvaluationHead, EvaluationId, read_head
from case_monitor.dashboard.rendering import page
from case_monitor.settings import Settings

pages = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPage:
    """One evaluation."""

    head: EvaluationHead


def evaluation_page(engine: Engine, settings: Settings, evaluation_id: int) -> EvaluationPage:
    """What the page shows of one evaluation."""
    return EvaluationPage(head=read_head(engine, settings, evaluation_id))


@pages.get("/evaluation/{evaluation_id}")
def show_evaluation(request: Request, evaluation_id: EvaluationId) -> Response:
    """The verdict, and what it rests on."""
    state = request.app.state
    return page(request, "evaluation.html", lambda: evaluation_page(state.engine, state.settings, evaluation_id))
