"""`evaluate-version`: the whole path from a registered version to a stored, published verdict."""

import logging
from collections.abc import Mapping
from dataclasses import replace

from prefect import flow
from sqlalchemy import Engine

from case_monitor.domain.digests import protocol_digest
from case_monitor.domain.evidence import Evidence
from case_monitor.domain.findings import Findings
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.scores import SampleScores
from case_monitor.evidence.made import made_evidence
from case_monitor.judging.evaluate import evaluate
from case_monitor.judging.other_rules import other_rules_of
from case_monitor.logs.configure import logging_about
from case_monitor.settings import Settings
from case_monitor.steps.artifacts import show_in_prefect
from case_monitor.steps.begin import begin
from case_monitor.steps.bench import NOTHING_KNOWN, open_bench
from case_monitor.steps.claims import alone_on, device_slot
from case_monitor.steps.edges.registry import resolve_model
from case_monitor.steps.edges.results import fetch_baseline_scores, store_evaluation, store_seed_group
from case_monitor.steps.evidence import find_evidence, oldest
from case_monitor.steps.inputs import Inputs, gather
from case_monitor.steps.look_again import why_not_again, with_note
from case_monitor.steps.notices import send_notices
from case_monitor.steps.outbox import send
from case_monitor.steps.outcomes import Outcome
from case_monitor.steps.requests import EvaluationRequest
from case_monitor.steps.running import flow_run_id, step
from case_monitor.steps.standing import with_artifact, with_override
from case_monitor.steps.stored_outcome import stored_outcome
from case_monitor.store.open import open_store

logger = logging.getLogger("case_monitor.evaluate")


@flow(name="evaluate-version", flow_run_name="evaluate {request.model}", persist_result=False)
def evaluate_version(request: EvaluationRequest) -> Outcome:
    """Evaluate a registered version: fetch, measure, store, publish."""
    settings, ref = begin(request.config), ModelRef.parse(request.model)
    settings.model(ref.name)  # before a registry is asked
    with logging_about(model=ref.name, flow_run_id=flow_run_id()):
        engine = open_store(settings.database_url.get_secret_value())
        try:
            ref = ModelRef(ref.name, version=resolve_model(settings, ref))
            with logging_about(version=ref.version), alone_on(engine, f"evaluation of {ref}"):
                inputs = gather(settings, engine, ref, first=request.first)
                run = _from_evidence if request.reuse else evaluate_inputs
                return run(settings, engine, inputs)
        finally:
            engine.dispose()


def _from_evidence(settings: Settings, engine: Engine, inputs: Inputs) -> Outcome:
    """What is stored, where it counts and comes out again; else measured now."""
    stored = find_evidence(settings, engine, inputs)
    if stored:
        with logging_about(evaluation_id=stored.id):
            reason = why_not_again(settings, engine, inputs, stored)
        if reason is None:
            store_seed_group(engine, inputs.candidate.version)
            baseline = inputs.baseline.version if inputs.baseline else stored.baseline
            return replace(stored_outcome(engine, stored, baseline), model=inputs.candidate.version)
        inputs = with_note(inputs, reason)
    return evaluate_inputs(settings, engine, inputs)


def evaluate_inputs(settings: Settings, engine: Engine, inputs: Inputs) -> Outcome:
    """Measure, store, tell, publish."""
    scores = stored_baseline_scores(engine, inputs)
    with device_slot(engine, settings, inputs.device):
        findings: Findings = measure(inputs, scores)
    findings = with_override(engine, settings, findings)
    evaluation = findings.evaluation
    evaluation_id = store_evaluation(engine, findings, make_evidence(settings, findings))
    with logging_about(version=evaluation.model.version, evaluation_id=evaluation_id):
        logger.info("stored: %s: %s", evaluation.verdict.status.value, evaluation.verdict.sentence)
        send_notices(settings, engine)
        run = send(settings, engine, evaluation_id)
        show_in_prefect(evaluation)
    return Outcome(
        evaluation_id=evaluation_id,
        model=evaluation.model,
        baseline=evaluation.baseline,
        verdict=evaluation.verdict,
        alerts=evaluation.alerts,
        other_rules=other_rules_of(evaluation),
        run_id=run.run_id if run else None,
        artifact_uri=run.artifact_uri if run else None,
        evaluation=evaluation,
    )


@step("measure")
def measure(inputs: Inputs, baseline_scores: Mapping[str, SampleScores]) -> Findings:
    """Predict, explain, test and judge. Not retried: the same numbers would come out."""
    candidate, baseline = inputs.candidate, inputs.baseline
    with open_bench(inputs, f"evaluate {candidate.version}") as bench:
        findings = evaluate(
            bench.subject(candidate),
            bench.subject(baseline, baseline_scores) if baseline else None,
            policy=inputs.policy,
            protocol=inputs.protocol,
            in_production=inputs.in_production,
            notes=inputs.notes,
        )
    return with_artifact(findings, inputs.first_digest)


@step("make-evidence")
def make_evidence(settings: Settings, findings: Findings) -> Evidence:
    """Draw and write what MLflow is to be told."""
    return made_evidence(findings, evidently_reports=settings.evidently_reports)


def stored_baseline_scores(engine: Engine, inputs: Inputs) -> Mapping[str, SampleScores]:
    """What is stored of the version in production, for the same split and protocol, by layer."""
    if inputs.baseline is None:
        return NOTHING_KNOWN
    return fetch_baseline_scores(
        engine,
        inputs.baseline.version.digest,
        inputs.baseline.split.digest,
        protocol_digest(inputs.protocol),
        oldest(inputs.policy),
    )
