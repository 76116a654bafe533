"""`evaluate-version`: the whole path from a registered version to a stored, published verdict."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass

from prefect import flow
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from case_monitor.core.evaluation import Findings, LoadedVersion, evaluate, protocol_digest
from case_monitor.core.passes import NOTHING_KNOWN
from case_monitor.core.records import (
    Alert,
    Evaluation,
    ModelVersion,
    SampleScores,
    Verdict,
)
from case_monitor.logs import logging_about
from case_monitor.model_ref import ModelRef
from case_monitor.settings import Settings
from case_monitor.store import read
from case_monitor.store.connection import open_store
from flows.artifacts import show_in_prefect
from flows.begin import begin
from flows.claims import alone_on, device_slot
from flows.edges import (
    fetch_baseline_scores,
    publish_evidence,
    resolve_model,
    store_evaluation,
)
from flows.engines import open_engine
from flows.evidence import find_evidence, oldest
from flows.inputs import Inputs, Prepared, gather
from flows.notices import send_notices
from flows.progress import ProgressReport
from flows.running import flow_run_id, step
from flows.standing_override import with_override

logger = logging.getLogger("case_monitor.evaluate")


class EvaluationRequest(BaseModel):
    """What to evaluate."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str = Field(examples=["flowers/3", "flowers@champion"])
    """A registered version, `name/3` or `name@alias`."""
    config: str | None = None
    """Path of the configuration file; without it `CASE_MONITOR_CONFIG`, else `case-monitor.yaml`."""
    reuse: bool = False
    """Take a stored evaluation of the same model, split, protocol, policy and baseline instead of a new one."""
    first: bool = False
    """Judge it as a first version, without comparison, though the alias, which none holds now, was held before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of it, for the next flow or a person. `evaluation` is None where a stored one was reused."""

    evaluation_id: int
    model: ModelVersion
    baseline: ModelVersion | None
    verdict: Verdict
    alerts: tuple[Alert, ...]
    run_id: str | None
    artifact_uri: str | None
    evaluation: Evaluation | None


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
                stored = find_evidence(settings, engine, inputs) if request.reuse else None
                return _reused(engine, stored, inputs) if stored else evaluate_inputs(settings, engine, inputs)
        finally:
            engine.dispose()


def evaluate_inputs(settings: Settings, engine: Engine, inputs: Inputs) -> Outcome:
    """Measure, store, tell, publish."""
    scores = stored_baseline_scores(engine, inputs)
    with device_slot(engine, settings, inputs.device):
        findings: Findings = measure(inputs, scores)
    findings = with_override(engine, settings, findings)
    evaluation = findings.evaluation
    evaluation_id = store_evaluation(engine, findings)
    with logging_about(version=evaluation.model.version, evaluation_id=evaluation_id):
        logger.info("stored: %s: %s", evaluation.verdict.status.value, evaluation.verdict.sentence)
        send_notices(settings, engine)
        run = publish_evidence(settings, engine, findings, evaluation_id)
        show_in_prefect(evaluation)
        logger.info("published as MLflow run %s", run.run_id)
    return Outcome(
        evaluation_id=evaluation_id,
        model=evaluation.model,
        baseline=evaluation.baseline,
        verdict=evaluation.verdict,
        alerts=evaluation.alerts,
        run_id=run.run_id,
        artifact_uri=run.artifact_uri,
        evaluation=evaluation,
    )


@step("measure")
def measure(inputs: Inputs, baseline_scores: Mapping[str, SampleScores]) -> Findings:
    """Predict, explain, test and judge. Not retried: the same numbers would come out."""
    candidate, baseline = inputs.candidate, inputs.baseline
    with open_engine(inputs.engine) as engine:
        return evaluate(
            _loaded(candidate),
            _loaded(baseline, baseline_scores) if baseline else None,
            policy=inputs.policy,
            protocol=inputs.protocol,
            device=inputs.device,
            progress=ProgressReport(f"evaluate {candidate.version}"),
            in_production=inputs.in_production,
            first_digest=inputs.first_digest,
            notes=inputs.notes,
            engine=engine,
            shard_size=inputs.engine.shard_size,
        )


def _loaded(prepared: Prepared, scores: Mapping[str, SampleScores] = NOTHING_KNOWN) -> LoadedVersion:
    return LoadedVersion(
        version=prepared.version,
        model=prepared.registered.model,
        split=prepared.split,
        source=prepared.source,
        declared_layer=prepared.registered.target_layer,
        scores=scores,
    )


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


def _reused(engine: Engine, stored: read.StoredEvaluation, inputs: Inputs) -> Outcome:
    return Outcome(
        evaluation_id=stored.id,
        model=inputs.candidate.version,
        baseline=inputs.baseline.version if inputs.baseline else stored.baseline,
        verdict=read.load_verdict(engine, stored.id),
        alerts=read.load_alerts(engine, stored.id),
        run_id=stored.mlflow_run_id,
        artifact_uri=None,
        evaluation=None,
    )
