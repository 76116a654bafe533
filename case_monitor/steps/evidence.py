"""Which stored evaluation still counts: of the same inputs, published, young enough, with its run in MLflow."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine

from case_monitor.domain.isolation import CONFINED
from case_monitor.domain.policy import Policy
from case_monitor.settings import Settings
from case_monitor.steps.edges.evidence import is_evidence_there
from case_monitor.steps.inputs import Inputs
from case_monitor.steps.outbox import send
from case_monitor.store import read
from case_monitor.store.read.evaluations import StoredEvaluation
from case_monitor.store.read.promotions import standing_evidence


def find_published(settings: Settings, engine: Engine, inputs: Inputs) -> StoredEvaluation | None:
    """The stored evaluation of the same inputs. What is gone or too old is made again."""
    stored = read.find_evaluation(engine, inputs.key)
    if stored is None or (stored.in_production and not inputs.in_production):
        return None  # a version in production fails at a stricter level only, which is not the gate's
    return _counting(settings, engine, stored, inputs.policy)


def find_evidence(settings: Settings, engine: Engine, inputs: Inputs) -> StoredEvaluation | None:
    """The same for the gate: of a version that it promoted itself, what it was promoted on.

    A gate that is run again after it was done, or had died, then answers as it did.
    """
    if inputs.in_production:
        version = inputs.candidate.version
        evaluation_id = standing_evidence(engine, version.name, settings.alias, version.version)
        stored = next((e for e in read.evaluations(engine, version.name) if e.id == evaluation_id), None)
        same = stored if stored and stored.key[:-1] == inputs.key[:-1] else None
        if same and (counting := _counting(settings, engine, same, inputs.policy)):
            return counting
    return find_published(settings, engine, inputs)


def oldest(policy: Policy) -> datetime | None:
    """What was stored before this does not count; None: all does."""
    return None if policy.max_age_days is None else datetime.now(UTC) - timedelta(days=policy.max_age_days)


def _counting(settings: Settings, engine: Engine, stored: StoredEvaluation, policy: Policy) -> StoredEvaluation | None:
    """The evaluation, if it counts; what MLflow has not got of it is sent first.

    Raises:
        CaseMonitorError: it cannot be sent.
    """
    since = oldest(policy)
    if since is not None and stored.updated_at < since:
        return None
    if settings.isolation.record.required and stored.isolation != CONFINED:
        return None  # the model could have said anything about itself
    sent = send(settings, engine, stored.id)
    run_id = sent.run_id if sent else stored.mlflow_run_id
    if run_id is None or not is_evidence_there(settings, run_id):
        return None
    return replace(stored, mlflow_run_id=run_id)
