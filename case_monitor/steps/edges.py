"""Tasks that touch the outside world. Each is retried, but only where trying again can help."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from case_monitor.alerts.life import EvaluationRun, Judged, Scope
from case_monitor.dataset import RawSplit, load_split
from case_monitor.domain.findings import Findings
from case_monitor.domain.model_ref import ModelRef
from case_monitor.domain.promotion import Promotion
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.scores import SampleScores
from case_monitor.evidence.mlflow_run import EvidenceRun, evidence_is_there, log_evidence, version_tags
from case_monitor.judging.reproduce import Stored
from case_monitor.registry.client import RegisteredModel, Registry
from case_monitor.settings import Settings, SplitSpec
from case_monitor.steps.running import flow_run_id, run_id, step
from case_monitor.store import write
from case_monitor.store.read.contrast_sets import load_contrast_sets
from case_monitor.store.read.evaluations import StoredEvaluation
from case_monitor.store.read.scores import find_scores, load_scores


def open_registry(settings: Settings) -> Registry:
    """The registry that the configuration names."""
    return Registry(settings.tracking_uri, settings.registry_uri)


@step("fetch-model", retried=True)
def fetch_model(settings: Settings, ref: ModelRef) -> RegisteredModel:
    """Resolve a reference, download and load the version."""
    registry = open_registry(settings)
    return registry.fetch(ref.name, registry.resolve(ref))


@step("resolve-model", retried=True)
def resolve_model(settings: Settings, ref: ModelRef) -> int:
    """The version number behind a reference."""
    return open_registry(settings).resolve(ref)


@step("registered-since", retried=True)
def registered_since(settings: Settings, name: str, since: datetime) -> list[int]:
    """Versions that were registered after a time."""
    return open_registry(settings).versions_since(name, since)


@step("fetch-split", retried=True)
def fetch_split(settings: Settings, spec: SplitSpec) -> RawSplit:
    """Read the validation split."""
    open_registry(settings)  # an MLflow artifact is downloaded from the configured server
    return load_split(spec)


@step("fetch-baseline-scores", retried=True)
def fetch_baseline_scores(
    engine: Engine, model_digest: str, split_digest: str, protocol_digest: str, since: datetime | None
) -> dict[str, SampleScores]:
    """Scores of the version in production that need not be measured again, by layer."""
    return find_scores(engine, model_digest, split_digest, protocol_digest, since)


@step("find-evidence", retried=True)
def is_evidence_there(settings: Settings, mlflow_run_id: str) -> bool:
    """Whether MLflow still has the run that an evaluation was published in."""
    return evidence_is_there(mlflow_run_id, settings.tracking_uri)


@step("fetch-stored", retried=True)
def fetch_stored(engine: Engine, published: StoredEvaluation) -> Stored | None:
    """What a stored evaluation measured; None if it explained no image, or its scores were pruned."""
    scores = load_scores(engine, published.id)
    if scores is None:
        return None
    contrast_sets = load_contrast_sets(engine, published.id)
    return Stored(scores=scores, contrast_sets=contrast_sets, target_layer=published.target_layer)


@step("store-evaluation", retried=True)
def store_evaluation(engine: Engine, findings: Findings) -> int:
    """Save the evaluation with its pictures, and what it means for the model's alerts, in one transaction."""
    evaluation = findings.evaluation
    run = _this_run(evaluation.duration_s, evaluation.in_production)
    return write.save_evaluation(engine, evaluation, run, findings.gallery)


@step("store-reproduction", retried=True)
def store_reproduction(
    engine: Engine,
    evaluation_id: int,
    found: Reproduction,
    judged: Judged,
    seconds: float,
    device: str,
    torch_version: str,
) -> None:
    """Save what a night found, and one more observation of the model's alerts."""
    run = _this_run(seconds, in_production=True)
    write.save_reproduction(engine, evaluation_id, found, judged, run, device, torch_version)


def _this_run(seconds: float, in_production: bool) -> EvaluationRun:
    """The flow's run, which began so many seconds ago to measure."""
    return EvaluationRun(
        id=run_id(),
        started_at=datetime.now(UTC) - timedelta(seconds=seconds),
        scope=Scope.PRODUCTION if in_production else Scope.CANDIDATE,
        flow_run_id=flow_run_id(),
    )


@step("log-evidence", retried=True)
def publish_evidence(settings: Settings, engine: Engine, findings: Findings, evaluation_id: int) -> EvidenceRun:
    """Write the evidence to MLflow and point the model version and the stored evaluation at it."""
    run = log_evidence(
        findings,
        evaluation_id,
        tracking_uri=settings.tracking_uri,
        registry_uri=settings.registry_uri,
        experiment=settings.experiment,
    )
    version = findings.evaluation.model
    tags = version_tags(findings.evaluation, evaluation_id, run.run_id)
    open_registry(settings).set_tags(version.name, version.version, tags)
    write.set_mlflow_run(engine, evaluation_id, run.run_id, run.experiment_id)
    return run


@step("read-alias", retried=True)
def read_alias(settings: Settings, name: str) -> int | None:
    """The version in production now."""
    return open_registry(settings).alias_holder(name, settings.alias)


@step("record-decision", retried=True)
def record_decision(engine: Engine, promotion: Promotion) -> int:
    """Write the decision to the audit log, before anything is moved, and which run came to it."""
    promotion_id = write.record_promotion(engine, promotion)
    run = flow_run_id()
    if run is not None:
        write.note_run(engine, run, promotion_id)
    return promotion_id


@step("read-artifact-digest", retried=True)
def read_artifact_digest(settings: Settings, name: str, version: int) -> str:
    """Of a version's files as they are now."""
    return open_registry(settings).artifact_digest(name, version)


@step("move-alias", retried=True)
def move_alias(settings: Settings, promotion: Promotion) -> None:
    """Point the alias at the promoted version."""
    open_registry(settings).set_alias(promotion.model_name, promotion.alias, promotion.version)


@step("give-back-alias", retried=True)
def give_back_alias(settings: Settings, promotion: Promotion) -> None:
    """Point the alias at the version that had it before; if none had, take it away."""
    name, alias, previous = promotion.model_name, promotion.alias, promotion.previous_version
    if previous is None:
        open_registry(settings).remove_alias(name, alias)
    else:
        open_registry(settings).set_alias(name, alias, previous)


@step("confirm-decision", retried=True)
def confirm_decision(engine: Engine, promotion_id: int) -> None:
    """Note in the audit log that the registry is as decided."""
    write.mark_promotion_applied(engine, promotion_id)
