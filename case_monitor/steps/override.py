"""`override`: a person moves the alias against the verdict, and answers for it. Nothing else gets round the gate."""

import logging
from datetime import UTC, datetime

from prefect import flow
from sqlalchemy import Engine

from case_monitor.alerts.override import require_answer
from case_monitor.domain.errors import ConfigError, StaleEvidenceError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.logs.configure import logging_about
from case_monitor.settings import Settings
from case_monitor.steps.begin import begin
from case_monitor.steps.claims import alone_on
from case_monitor.steps.edges.registry import read_alias, read_artifact_digest
from case_monitor.steps.edges.results import record_decision
from case_monitor.steps.moving import move
from case_monitor.steps.notices import send_notices
from case_monitor.steps.requests import OverrideRequest
from case_monitor.steps.running import flow_run_id
from case_monitor.steps.tell_override import tell_override
from case_monitor.store import read
from case_monitor.store.open import open_store
from case_monitor.store.read.evaluations import StoredEvaluation
from case_monitor.store.read.overrides import standing_override
from case_monitor.store.read.promotions import StoredPromotion, promotions

logger = logging.getLogger("case_monitor.override")


@flow(name="override", flow_run_name="override {request.model}", persist_result=False)
def override(request: OverrideRequest) -> Promotion:
    """Move the alias. It is logged first, and what a crash leaves undone is done by the next run.

    Raises:
        ConfigError: nobody answers for it, or there is nothing to override.
        StaleEvidenceError: the version, as it is now, was never evaluated.
    """
    settings, ref = begin(request.config), ModelRef.parse(request.model)
    if ref.version is None:
        msg = f"model: name/<version> was expected, {request.model!r} came: an alias may move meanwhile"
        raise ConfigError(msg)
    settings.model(ref.name)
    require_answer(request.by, request.reason, request.until, datetime.now(UTC))
    engine = open_store(settings.database_url.get_secret_value())
    try:
        with (
            logging_about(model=ref.name, version=ref.version, flow_run_id=flow_run_id()),
            alone_on(engine, f"promotion of {ref.name}"),
        ):
            digest = read_artifact_digest(settings, ref.name, ref.version)
            promotion = _decide(settings, engine, _evidence(engine, ref, digest), request)
        send_notices(settings, engine)
    finally:
        engine.dispose()
    return promotion


def _decide(settings: Settings, engine: Engine, evidence: StoredEvaluation, request: OverrideRequest) -> Promotion:
    holder = read_alias(settings, evidence.model_name)
    if holder == evidence.version:
        done = _see_through(settings, engine, evidence)
        if done and (done.decided_by, done.reason, done.valid_until) == (request.by, request.reason, request.until):
            return done
    _require_need(settings, engine, evidence, holder)
    promotion = Promotion(
        model_name=evidence.model_name,
        alias=settings.alias,
        version=evidence.version,
        previous_version=holder,
        decision=Decision.OVERRIDDEN,
        evaluation_id=evidence.id,
        reason=request.reason,
        decided_by=request.by,
        valid_until=request.until,
    )
    promotion_id: int = record_decision(engine, promotion)
    move(settings, promotion, evidence.model_digest)
    tell_override(settings, engine, promotion_id, promotion, evidence.model)
    return promotion


def _evidence(engine: Engine, ref: ModelRef, digest: str) -> StoredEvaluation:
    """The last evaluation of what the registry holds now: nobody overrides a verdict that was never given."""
    stored = [e for e in read.evaluations(engine, ref.name) if e.version == ref.version]
    evidence = next((e for e in stored if e.model_digest == digest), None)
    if evidence is None:
        what = "its files have changed since it was evaluated" if stored else "it was never evaluated"
        raise StaleEvidenceError(f"{ref}: {what}; check it first: case-monitor check {ref}")
    return evidence


def _require_need(settings: Settings, engine: Engine, evidence: StoredEvaluation, holder: int | None) -> None:
    """There must be something to override: a version that is there against the verdict may be answered for anew."""
    standing = standing_override(engine, evidence.model_name, settings.alias)
    holds = holder == evidence.version
    if holds and (standing is None or standing.version != holder):
        reason = f"holds alias {settings.alias} already"
    elif evidence.verdict_status is Status.PASS and (
        evidence.in_production if holds else holder == evidence.baseline_version
    ):
        reason = f"passed, compared with {f'version {holder}' if holder and not holds else 'no other version'}"
    else:
        return
    msg = f"{evidence.model} {reason}: there is nothing to override; use: case-monitor gate {evidence.model}"
    raise ConfigError(msg)


def _see_through(settings: Settings, engine: Engine, evidence: StoredEvaluation) -> Promotion | None:
    """Do what an override that moved the alias, and then died, has left undone; None if there is no such one."""
    entries = promotions(engine, evidence.model_name)
    entry = next((e for e in entries if _is_unfinished(e, settings.alias, evidence.version)), None)
    if entry is None:
        return None
    promotion = entry.promotion
    tell_override(settings, engine, entry.id, promotion, evidence.model)
    return promotion


def _is_unfinished(entry: StoredPromotion, alias: str, version: int) -> bool:
    is_override = (entry.alias, entry.version, entry.decision) == (alias, version, Decision.OVERRIDDEN)
    return is_override and entry.applied_at is None
