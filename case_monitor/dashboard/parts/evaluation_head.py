"""What stands on top of every page about one evaluation."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import HTTPException, Path
from sqlalchemy import Engine

from case_monitor.domain.promotion import Decision
from case_monitor.domain.status import Status
from case_monitor.settings import Settings
from case_monitor.store.read.evaluations import EvaluationInPlace, OtherEvaluation, StoredEvaluation, read_evaluation
from case_monitor.store.read.promotions import StoredPromotion

EvaluationId = Annotated[int, Path(ge=1, le=2**31 - 1)]

_TABS = {"Summary": "", "Classes": "/classes", "Confusion matrix": "/confusion", "Gallery": "/gallery"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One of the pages about an evaluation; `path` is without the root path."""

    title: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasDecision:
    """What the gate did with the alias on this evidence, in words; `applied_at` None: the alias was not moved."""

    decision: Decision
    sentence: str
    reason: str
    decided_at: datetime
    applied_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationHead:
    """What was evaluated, with which outcome. A link to a server is None where no address of it is known."""

    id: int
    model: str
    version: int
    verdict: Status
    sentence: str
    notes: tuple[str, ...]
    in_production: bool
    decision: AliasDecision | None
    evaluated_at: datetime
    split: str
    split_size: int
    num_classes: int
    baseline: int | None
    gate_method: str
    tabs: tuple[Tab, ...]
    older: OtherEvaluation | None
    newer: OtherEvaluation | None
    mlflow_run: str | None
    prefect_run: str | None


def read_head(engine: Engine, settings: Settings, evaluation_id: int) -> EvaluationHead:
    """The head of one evaluation's pages.

    Raises:
        HTTPException: 404, there is no such evaluation.
    """
    return head_of(settings, read_in_place(engine, evaluation_id))


def read_in_place(engine: Engine, evaluation_id: int) -> EvaluationInPlace:
    """The evaluation with what surrounds it, for a page that shows more of it than the head.

    Raises:
        HTTPException: 404, there is no such evaluation.
    """
    found = read_evaluation(engine, evaluation_id)
    if found is None:
        raise HTTPException(404, f"There is no evaluation {evaluation_id}.")
    return found


def head_of(settings: Settings, found: EvaluationInPlace) -> EvaluationHead:
    """The head of a stored evaluation."""
    stored = found.evaluation
    return EvaluationHead(
        id=stored.id,
        model=stored.model_name,
        version=stored.version,
        verdict=stored.verdict_status,
        sentence=stored.verdict_sentence,
        notes=stored.notes,
        in_production=stored.in_production,
        decision=None if found.promotion is None else _decision(found.promotion),
        evaluated_at=stored.updated_at,
        split=stored.split_name,
        split_size=stored.split_size,
        num_classes=len(stored.class_names),
        baseline=stored.baseline_version,
        gate_method=str(stored.policy["gate_method"]),
        tabs=tuple(Tab(title=title, path=f"/evaluation/{stored.id}{end}") for title, end in _TABS.items()),
        older=found.older,
        newer=found.newer,
        mlflow_run=_mlflow_run(settings.mlflow_address, stored),
        prefect_run=_prefect_run(settings.prefect_url, stored.flow_run_id),
    )


def _decision(promotion: StoredPromotion) -> AliasDecision:
    return AliasDecision(
        decision=promotion.decision,
        sentence=_override_sentence(promotion) if promotion.decision is Decision.OVERRIDDEN else _sentence(promotion),
        reason=promotion.reason,
        decided_at=promotion.decided_at,
        applied_at=promotion.applied_at,
    )


def _sentence(promotion: StoredPromotion) -> str:
    alias, version, held = promotion.alias, promotion.version, _held(promotion)
    if promotion.decision is Decision.PROMOTED and promotion.applied_at is None:
        return f"To be promoted: alias {alias} was with {held} and has not been moved so far."
    return {
        Decision.PROMOTED: f"Promoted: alias {alias} moved from {held} to version {version}.",
        Decision.KEPT: f"Kept: version {version} holds alias {alias} already.",
        Decision.WITHHELD: f"Withheld: alias {alias} stays with {held}.",
    }[promotion.decision]


def _override_sentence(promotion: StoredPromotion) -> str:
    """The reason of an override follows."""
    moved = "is to move" if promotion.applied_at is None else "moved"
    return (
        f"Against the verdict, alias {promotion.alias} {moved} from {_held(promotion)} to version {promotion.version}: "
        f"overridden by {promotion.decided_by} until {promotion.valid_until:%Y-%m-%d %H:%M} UTC:"
    )


def _held(promotion: StoredPromotion) -> str:
    return "no version" if promotion.previous_version is None else f"version {promotion.previous_version}"


def _mlflow_run(server: str | None, stored: StoredEvaluation) -> str | None:
    if server is None or stored.mlflow_run_id is None:
        return None
    run = quote(stored.mlflow_run_id, safe="")
    if stored.mlflow_experiment_id is None:  # as older packages left it; MLflow looks for it then
        return f"{server}/#/runs/{run}"
    return f"{server}/#/experiments/{quote(stored.mlflow_experiment_id, safe='')}/runs/{run}"


def _prefect_run(server: str | None, flow_run_id: str | None) -> str | None:
    return None if server is None or flow_run_id is None else f"{server}/runs/flow-run/{quote(flow_run_id, safe='')}"
