"""What steps read from the results database, and write into it."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from case_monitor.alerts.life import EvaluationRun, Judged, Scope
from case_monitor.domain.evidence import Evidence
from case_monitor.domain.findings import Findings
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.promotion import Promotion
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.scores import SampleScores
from case_monitor.judging.reproduce import Stored
from case_monitor.steps.running import flow_run_id, run_id, step
from case_monitor.store import write
from case_monitor.store.read.contrast_sets import load_contrast_sets
from case_monitor.store.read.evaluations import StoredEvaluation
from case_monitor.store.read.scores import find_scores, load_scores


@step("fetch-baseline-scores", retried=True)
def fetch_baseline_scores(
    engine: Engine, model_digest: str, split_digest: str, protocol_digest: str, since: datetime | None
) -> dict[str, SampleScores]:
    """Scores of the version in production that need not be measured again, by layer."""
    return find_scores(engine, model_digest, split_digest, protocol_digest, since)


@step("fetch-stored", retried=True)
def fetch_stored(engine: Engine, published: StoredEvaluation) -> Stored | None:
    """What a stored evaluation measured; None if it explained no image, or its scores were pruned."""
    scores = load_scores(engine, published.id)
    if scores is None:
        return None
    contrast_sets = load_contrast_sets(engine, published.id)
    return Stored(scores=scores, contrast_sets=contrast_sets, target_layer=published.target_layer)


@step("store-evaluation", retried=True)
def store_evaluation(engine: Engine, findings: Findings, evidence: Evidence) -> int:
    """Save the evaluation with its pictures, what it means for the model's alerts, and what MLflow is to be told.

    One transaction: what is stored is told sooner or later.
    """
    evaluation = findings.evaluation
    run = _this_run(evaluation.duration_s, evaluation.in_production)
    return write.save_evaluation(engine, evaluation, run, findings.gallery, evidence)


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


@step("store-seed-group", retried=True)
def store_seed_group(engine: Engine, version: ModelVersion) -> None:
    """Save what the version's tag says now, where nothing else of it is saved."""
    write.keep_seed_group(engine, version)


@step("record-decision", retried=True)
def record_decision(engine: Engine, promotion: Promotion) -> int:
    """Write the decision to the audit log, before anything is moved, and which run came to it."""
    promotion_id = write.record_promotion(engine, promotion)
    run = flow_run_id()
    if run is not None:
        write.note_run(engine, run, promotion_id)
    return promotion_id


@step("confirm-decision", retried=True)
def confirm_decision(engine: Engine, promotion_id: int) -> None:
    """Note in the audit log that the registry is as decided."""
    write.mark_promotion_applied(engine, promotion_id)
