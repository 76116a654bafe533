"""Evaluation: why a version has its verdict."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import Engine

from case_monitor.dashboard.pages.evaluation.agreement_panels import AgreementPanels, agreement_panels
from case_monitor.dashboard.pages.evaluation.charts import Chart, activity_chart, fidelity_charts
from case_monitor.dashboard.pages.evaluation.contrast_table import ContrastRow, contrast_table
from case_monitor.dashboard.pages.evaluation.diagnostics_table import DiagnosticRow, diagnostics_table
from case_monitor.dashboard.pages.evaluation.methods_table import MethodsTable, ShownFigure, methods_table
from case_monitor.dashboard.pages.evaluation.rules import ClassRule, RuleOutcome, class_rules, rule_outcomes
from case_monitor.dashboard.parts.evaluation_head import EvaluationHead, EvaluationId, head_of, read_in_place
from case_monitor.dashboard.shell.rendering import page
from case_monitor.dashboard.shell.resources import Held
from case_monitor.domain.metrics import INSENSITIVE
from case_monitor.domain.policy import Severity
from case_monitor.settings import Settings
from case_monitor.store.other_rules import other_rules_of_stored
from case_monitor.store.read.evaluations import StoredEvaluation
from case_monitor.store.read.evidence import Evidence, read_evidence

pages = APIRouter()

SHOWN_ALERTS = 20
_DOWNLOADS = {
    "Classes": "classes",
    "Figures": "summaries",
    "Scores per image": "scores",
}


class ScoresState(StrEnum):
    """Whether there are scores per image, and if not, why."""

    KEPT = "kept"
    PRUNED = "pruned"
    NOTHING_EXPLAINED = "nothing explained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What is needed to reproduce the numbers; `protocol` and `policy` in full, as JSON."""

    digests: dict[str, str]
    seed: int
    target_layer: str
    device: str
    torch_version: str
    package_version: str
    isolation: str | None
    signer: str | None
    first_saved: datetime
    duration_s: float
    protocol: str
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """Paths of one table's files, without the root path."""

    title: str
    csv: str
    parquet: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedAlert:
    """An alert as this evaluation saw it, in words."""

    severity: Severity
    message: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationPage:
    """One evaluation. Figures of the model that were not measured are None; `limit` is the paper's on agreement.

    `alerts` are cut to the first ones, blocking ones first; `other_rules` is what the rules by another word would have
    said.
    """

    head: EvaluationHead
    accuracy: ShownFigure | None
    skill: ShownFigure | None
    balanced_accuracy: ShownFigure | None
    macro_f1: ShownFigure | None
    explained: int
    confidence_level: float | None
    alerts: tuple[ObservedAlert, ...]
    more_alerts: int
    rules: tuple[RuleOutcome, ...]
    class_rules: tuple[ClassRule, ...]
    other_rules: str
    contrast: tuple[ContrastRow, ...]
    methods: MethodsTable
    limit: float
    scores: ScoresState
    agreement: AgreementPanels
    fidelity: tuple[Chart, ...]
    diagnostics: tuple[DiagnosticRow, ...]
    activity: Chart | None
    provenance: Provenance
    downloads: tuple[Download, ...]


def evaluation_page(engine: Engine, settings: Settings, evaluation_id: int) -> EvaluationPage:
    """What the page shows of one evaluation.

    Raises:
        HTTPException: 404, there is no such evaluation.
    """
    found = read_in_place(engine, evaluation_id)
    stored, head = found.evaluation, head_of(settings, found)
    evidence = read_evidence(engine, evaluation_id)
    of_model = {figure.metric: figure for figure in evidence.figures if not figure.method}
    methods = methods_table(evidence.figures, head.gate_method)
    names = [row.method for row in methods.sensitivity]
    alerts = sorted(evidence.alerts, key=lambda alert: alert.severity is Severity.WARN)
    return EvaluationPage(
        head=head,
        accuracy=ShownFigure.of(of_model.get("accuracy")),
        skill=ShownFigure.of(of_model.get("skill")),
        balanced_accuracy=ShownFigure.of(of_model.get("balanced_accuracy")),
        macro_f1=ShownFigure.of(of_model.get("macro_f1")),
        explained=evidence.explained,
        confidence_level=_number(stored.policy, "confidence_level"),
        alerts=tuple(
            ObservedAlert(severity=alert.severity, message=alert.message, advice=alert.advice)
            for alert in alerts[:SHOWN_ALERTS]
        ),
        more_alerts=max(len(alerts) - SHOWN_ALERTS, 0),
        rules=rule_outcomes(evidence.rules, head.baseline),
        class_rules=class_rules(evidence.rules, stored.class_names, head.baseline),
        other_rules=other_rules_of_stored(engine, stored),
        contrast=contrast_table(evidence.figures, head.gate_method),
        methods=methods,
        limit=INSENSITIVE,
        scores=_scores_state(evidence),
        agreement=agreement_panels(evidence.agreements, names, head.gate_method),
        fidelity=fidelity_charts(methods),
        diagnostics=diagnostics_table(evidence.figures, names),
        activity=activity_chart(evidence.classes, _number(stored.protocol, "activity_threshold")),
        provenance=_provenance(stored),
        downloads=_downloads(evaluation_id),
    )


def _scores_state(evidence: Evidence) -> ScoresState:
    if evidence.agreements:
        return ScoresState.KEPT
    return ScoresState.PRUNED if evidence.explained else ScoresState.NOTHING_EXPLAINED


def _provenance(stored: StoredEvaluation) -> Provenance:
    digests = {
        "model": stored.model_digest,
        "split": stored.split_digest,
        "protocol": stored.protocol_digest,
        "policy": stored.policy_digest,
        "baseline": stored.baseline_digest,
    }
    return Provenance(
        digests={what: digest for what, digest in digests.items() if digest},
        seed=stored.seed,
        target_layer=stored.target_layer,
        device=stored.device,
        torch_version=stored.torch_version,
        package_version=stored.package_version,
        isolation=stored.isolation,
        signer=stored.signer,
        first_saved=stored.created_at,
        duration_s=stored.duration_s,
        protocol=json.dumps(stored.protocol, indent=2, ensure_ascii=False),
        policy=json.dumps(stored.policy, indent=2, ensure_ascii=False),
    )


def _number(settings: Mapping[str, Any], name: str) -> float | None:
    """From a policy or a protocol that an older package may have written."""
    value = settings.get(name)
    return None if value is None else float(value)


def _downloads(evaluation_id: int) -> tuple[Download, ...]:
    start = f"/api/v1/evaluations/{evaluation_id}"
    return tuple(
        Download(title=title, csv=f"{start}/{name}.csv", parquet=f"{start}/{name}.parquet")
        for title, name in _DOWNLOADS.items()
    )


@pages.get("/evaluation/{evaluation_id}")
def show_evaluation(request: Request, held: Held, evaluation_id: EvaluationId) -> Response:
    """The verdict, and what it rests on."""
    return page(request, "evaluation.html", None, lambda: evaluation_page(held.engine, held.settings, evaluation_id))
