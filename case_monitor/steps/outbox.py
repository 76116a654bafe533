"""Sending to MLflow what waits in the outbox: by the run that made it, the next run of the version, or the sweep."""

import logging
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from case_monitor.domain.errors import CaseMonitorError, NotFoundError
from case_monitor.domain.model_ref import ModelRef
from case_monitor.evidence.mlflow_run import EvidenceRun
from case_monitor.logs.masking import masked
from case_monitor.settings import Settings
from case_monitor.steps.claims import alone_on
from case_monitor.steps.edges.evidence import publish_evidence
from case_monitor.steps.edges.registry import open_registry
from case_monitor.store.read.outbox import load_evidence, waiting_ids
from case_monitor.store.write.outbox import give_up, note_failure

logger = logging.getLogger("case_monitor.evidence")


def send_waiting(settings: Settings, engine: Engine) -> None:
    """Send all that waits, the oldest first. What cannot be sent keeps nothing else from it.

    What is of a version that the registry no longer has, after `watch_days`, is given up: its figures stay stored.

    Raises:
        CaseMonitorError: the last that could not be sent; it waits on.
    """
    failed: CaseMonitorError | None = None
    for evaluation_id in waiting_ids(engine):
        try:
            send(settings, engine, evaluation_id)
        except CaseMonitorError as error:
            if not (isinstance(error, NotFoundError) and _given_up(settings, engine, evaluation_id)):
                failed = error
    if failed:
        raise failed


def send(settings: Settings, engine: Engine, evaluation_id: int) -> EvidenceRun | None:
    """Send what waits of an evaluation; None if nothing does.

    Raises:
        CaseMonitorError: MLflow did not take it. It waits on, with the reason.
    """
    with alone_on(engine, f"evidence of evaluation {evaluation_id}"):
        evidence = load_evidence(engine, evaluation_id)
        if evidence is None:
            return None
        try:
            run: EvidenceRun = publish_evidence(settings, engine, evidence, evaluation_id)
        except CaseMonitorError as error:
            note_failure(engine, evaluation_id, masked(str(error)))
            said = f"{error}; the evidence of evaluation {evaluation_id} is kept, and the next run or sweep sends it"
            raise type(error)(said) from error
    logger.info("evidence of evaluation %d published as MLflow run %s", evaluation_id, run.run_id)
    return run


def _given_up(settings: Settings, engine: Engine, evaluation_id: int) -> bool:
    """Whether it waits no more, as its version is gone; a registry that says so once may be wrong, so it waits long."""
    evidence = load_evidence(engine, evaluation_id)
    if evidence is None or evidence.made_at > datetime.now(UTC) - timedelta(days=settings.watch_days):
        return False
    ref = ModelRef(evidence.model_name, version=evidence.version)
    if open_registry(settings).has_version(ref):
        return False
    give_up(engine, evaluation_id, evidence)
    logger.warning("the registry has no %s any more: the evidence of evaluation %d is not sent", ref, evaluation_id)
    return True
