"""`evaluate-version`: the whole path from a registered version to a stored, published verdict."""

from dataclasses import dataclass

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.utilities.annotations import quote
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Engine

from case_monitor.core.evaluation import Baseline, Candidate, Findings, digest, evaluate, evaluation_key
from case_monitor.core.policy import Policy
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import (
    Alert,
    Evaluation,
    EvaluationKey,
    ModelVersion,
    SampleScores,
    Split,
    Verdict,
)
from case_monitor.dataset import PreparedImages
from case_monitor.model_ref import ModelRef
from case_monitor.reconcile import reconcile, with_target_layer
from case_monitor.registry import RegisteredModel, pick_device
from case_monitor.settings import Settings, load_settings
from case_monitor.store import read
from case_monitor.store.connection import open_store
from flows.artifacts import show_in_prefect
from flows.edges import (
    fetch_baseline,
    fetch_model,
    fetch_scores,
    fetch_split,
    publish_evidence,
    store_evaluation,
)
from flows.notices import send_notices
from flows.progress import ProgressReport


class EvaluationRequest(BaseModel):
    """What to evaluate."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    model: str = Field(examples=["flowers/3", "flowers@champion"])
    """A registered version, `name/3` or `name@alias`."""
    config: str | None = None
    """Path of the configuration file; without it `CASE_MONITOR_CONFIG`, else `case-monitor.yaml`."""
    reuse: bool = False
    """Take a stored evaluation of the same model, split, protocol, policy and baseline instead of a new one."""


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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Inputs:
    candidate: RegisteredModel
    baseline: RegisteredModel | None
    split: Split
    source: PreparedImages
    policy: Policy
    protocol: Protocol
    baseline_protocol: Protocol
    device: str

    @property
    def key(self) -> EvaluationKey:
        baseline = self.baseline.version if self.baseline else None
        return evaluation_key(self.candidate.version, self.split, baseline, self.policy, self.protocol)


@flow(name="evaluate-version", flow_run_name="evaluate {request.model}", persist_result=False)
def evaluate_version(request: EvaluationRequest) -> Outcome:
    """Evaluate a registered version: fetch, measure, store, publish."""
    settings = load_settings(request.config)
    engine = open_store(settings.database_url.get_secret_value())
    try:
        inputs = _gather(settings, ModelRef.parse(request.model))
        stored = read.find_evaluation(engine, inputs.key) if request.reuse else None
        # Without its MLflow run an evaluation was stored but not published: then it is done again.
        if stored is not None and stored.mlflow_run_id is not None:
            return _reused(engine, stored, inputs)
        # quote: Prefect would walk through the model and the images in search of futures.
        scores = quote(_baseline_scores(engine, inputs))
        findings: Findings = measure(quote(inputs), scores)  # type: ignore[call-overload]
        evaluation_id = store_evaluation(quote(settings), quote(engine), quote(findings.evaluation))
        send_notices(quote(settings), quote(engine))  # type: ignore[call-overload]
        run = publish_evidence(quote(settings), quote(engine), quote(findings), evaluation_id)
        show_in_prefect(findings.evaluation)
    finally:
        engine.dispose()
    evaluation = findings.evaluation
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


def _gather(settings: Settings, ref: ModelRef) -> _Inputs:
    model_settings = settings.model(ref.name)
    device = pick_device(settings.device)
    candidate: RegisteredModel = fetch_model(quote(settings), quote(ref))
    baseline = fetch_baseline(quote(settings), ref.name, candidate.version.version)
    raw = fetch_split(quote(settings), quote(model_settings.split))
    split, source = reconcile(candidate, model_settings, raw, settings.num_workers)
    protocol = settings.protocol_of(ref.name)
    return _Inputs(
        candidate=candidate,
        baseline=baseline,
        split=split,
        source=source,
        policy=settings.policy_of(ref.name),
        protocol=with_target_layer(protocol, candidate),
        baseline_protocol=with_target_layer(protocol, baseline) if baseline else protocol,
        device=device,
    )


@task(name="measure", cache_policy=NO_CACHE, persist_result=False)
def measure(inputs: _Inputs, baseline_scores: SampleScores | None) -> Findings:
    """Predict, explain, test and judge. Not retried: the same numbers would come out."""
    candidate, baseline = inputs.candidate, inputs.baseline
    candidate.model.to(inputs.device)
    if baseline:
        baseline.model.to(inputs.device)
    return evaluate(
        Candidate(version=candidate.version, model=candidate.model),
        _baseline(baseline, inputs.baseline_protocol, baseline_scores) if baseline else None,
        inputs.split,
        inputs.source,
        policy=inputs.policy,
        protocol=inputs.protocol,
        device=inputs.device,
        progress=ProgressReport(f"evaluate {candidate.version}"),
    )


def _baseline(registered: RegisteredModel, protocol: Protocol, scores: SampleScores | None) -> Baseline:
    return Baseline(
        version=registered.version, model=registered.model, target_layer=protocol.target_layer, scores=scores
    )


def _baseline_scores(engine: Engine, inputs: _Inputs) -> SampleScores | None:
    """What is stored of the version in production, for the same split and protocol."""
    if inputs.baseline is None:
        return None
    protocol_digest = digest(inputs.baseline_protocol)
    scores: SampleScores | None = fetch_scores(
        quote(engine), inputs.baseline.version.digest, inputs.split.digest, protocol_digest
    )
    return scores


def _reused(engine: Engine, stored: read.StoredEvaluation, inputs: _Inputs) -> Outcome:
    return Outcome(
        evaluation_id=stored.id,
        model=inputs.candidate.version,
        baseline=inputs.baseline.version if inputs.baseline else None,
        verdict=read.load_verdict(engine, stored.id),
        alerts=read.load_alerts(engine, stored.id),
        run_id=stored.mlflow_run_id,
        artifact_uri=None,
        evaluation=None,
    )
