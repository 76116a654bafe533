"""Sending to MLflow what waits in the outbox: by the run that made it, the next run of the version, or the sweep."""

import logging

from sqlalchemy import Engine

from case_monitor.domain.errors import CaseMonitorError
from case_monitor.evidence.mlflow_run import EvidenceRun
from case_monitor.logs.masking import masked
from case_monitor.settings import Settings
from case_monitor.steps.claims import alone_on
from case_monitor.steps.edges.evidence import publish_evidence
from case_monitor.store.read.outbox import load_evidence, waiting_ids
from case_monitor.store.write.outbox import note_failure

logger = logging.getLogger("case_monitor.evidence")


def send_waiting(settings: Settings, engine: Engine) -> None:
    """Send all that waits, the oldest first. What cannot be sent keeps nothing else from it.

    Raises:
        CaseMonitorError: the last that could not be sent; it waits on.
    """
    failed: CaseMonitorError | None = None
    for evaluation_id in waiting_ids(engine):
        try:
            send(settings, engine, evaluation_id)
        except CaseMonitorError as error:
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
