"""Evidence in MLflow."""

from sqlalchemy import Engine

from case_monitor.domain.findings import Findings
from case_monitor.evidence.mlflow_run import EvidenceRun, evidence_is_there, log_evidence, version_tags
from case_monitor.settings import Settings
from case_monitor.steps.edges.registry import open_registry
from case_monitor.steps.running import step
from case_monitor.store import write


@step("find-evidence", retried=True)
def is_evidence_there(settings: Settings, mlflow_run_id: str) -> bool:
    """Whether MLflow still has the run that an evaluation was published in."""
    return evidence_is_there(mlflow_run_id, settings.tracking_uri)


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
