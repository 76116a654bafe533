"""Evidence in MLflow."""

from sqlalchemy import Engine

from case_monitor.domain.evidence import Evidence
from case_monitor.evidence.mlflow_run import (
    EvidenceRun,
    evidence_is_there,
    log_evidence,
    pointing_tags,
)
from case_monitor.settings import Settings
from case_monitor.steps.edges.registry import open_registry
from case_monitor.steps.running import step
from case_monitor.store.write.outbox import settle


@step("find-evidence", retried=True)
def is_evidence_there(settings: Settings, mlflow_run_id: str) -> bool:
    """Whether MLflow still has the run that an evaluation was published in."""
    return evidence_is_there(mlflow_run_id, settings.tracking_uri)


@step("log-evidence", retried=True)
def publish_evidence(settings: Settings, engine: Engine, evidence: Evidence, evaluation_id: int) -> EvidenceRun:
    """Write the evidence to MLflow and point the model version and the stored evaluation at it; it waits no more."""
    run = log_evidence(
        evidence,
        evaluation_id,
        tracking_uri=settings.tracking_uri,
        registry_uri=settings.registry_uri,
        experiment=settings.experiment,
    )
    tags = pointing_tags(evidence, evaluation_id, run.run_id)
    open_registry(settings).set_tags(evidence.model_name, evidence.version, tags)
    settle(engine, evaluation_id, evidence, run.run_id, run.experiment_id)
    return run
