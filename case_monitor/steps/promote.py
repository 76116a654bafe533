"""`promote`: evaluate if needed, then move the alias or withhold it, and write either to the audit log."""

import logging

from prefect import flow

from case_monitor.domain.errors import StaleEvidenceError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.logs.configure import logging_about
from case_monitor.steps.begin import begin
from case_monitor.steps.claims import alone_on
from case_monitor.steps.edges.registry import read_alias
from case_monitor.steps.edges.results import confirm_decision, record_decision
from case_monitor.steps.evaluate import evaluate_version
from case_monitor.steps.moving import changed_holder, complete_moves, move
from case_monitor.steps.notices import send_notices
from case_monitor.steps.outcomes import Gated, Outcome
from case_monitor.steps.requests import EvaluationRequest
from case_monitor.steps.running import flow_run_id, run_flow
from case_monitor.store.open import open_store

logger = logging.getLogger("case_monitor.promote")


@flow(name="promote", flow_run_name="promote {request.model}", persist_result=False)
def promote(request: EvaluationRequest, forward_only: bool = False) -> Gated:
    """Gate a version. The decision is logged first, so that a crash in between is seen and mended by the next run.

    Args:
        request: The version, and how to evaluate it.
        forward_only: Leave the alias with its holder if that is a newer version. Runs that a trigger starts end in any
            order; who names an older version goes back to it on purpose.
    """
    settings = begin(request.config)
    name = ModelRef.parse(request.model).name
    settings.model(name)
    engine = open_store(settings.database_url.get_secret_value())
    try:
        # Two candidates at once would be compared with one baseline, and the second with one that has gone.
        with alone_on(engine, f"promotion of {name}"):
            complete_moves(settings, engine, name, read_alias(settings, name))
            outcome = run_flow(evaluate_version, request)
            holder = read_alias(settings, name)
            promotion = decide(outcome, settings.alias, holder, forward_only=forward_only)
            promotion_id = record_decision(engine, promotion)
            if promotion.decision is Decision.PROMOTED:
                move(settings, promotion, outcome.model.digest)
            confirm_decision(engine, promotion_id)
        send_notices(settings, engine)  # that an override is over
        with logging_about(
            model=promotion.model_name,
            version=promotion.version,
            evaluation_id=promotion.evaluation_id,
            flow_run_id=flow_run_id(),
        ):
            logger.info("alias %s: %s: %s", promotion.alias, promotion.decision.value, promotion.reason)
    finally:
        engine.dispose()
    return Gated(outcome=outcome, promotion=promotion)


def decide(outcome: Outcome, alias: str, holder: int | None, *, forward_only: bool = False) -> Promotion:
    """Promote on pass only, and only while production is what the candidate was compared with.

    Args:
        outcome: The evidence.
        alias: Of the version in production.
        holder: The version that has it now.
        forward_only: Withhold it from a version older than the holder, whatever the verdict.

    Raises:
        StaleEvidenceError: another version took the alias since.
    """
    version = outcome.model.version
    expected = outcome.baseline.version if outcome.baseline else None
    reason = outcome.verdict.sentence
    if outcome.verdict.status is not Status.PASS:
        decision = Decision.WITHHELD
    elif holder == version:
        decision = Decision.KEPT
    elif forward_only and holder is not None and holder > version:
        decision = Decision.WITHHELD
        reason = f"{reason} But version {holder}, which is newer, holds alias {alias}."
    elif holder == expected:
        decision = Decision.PROMOTED
    else:
        raise StaleEvidenceError(changed_holder(outcome.model.name, alias, expected, holder))
    return Promotion(
        model_name=outcome.model.name,
        alias=alias,
        version=version,
        previous_version=holder,
        decision=decision,
        evaluation_id=outcome.evaluation_id,
        reason=reason,
    )
