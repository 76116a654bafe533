"""What came of a stored evaluation, as if it had just been made."""

from sqlalchemy import Engine

from case_monitor.domain.model_version import ModelVersion
from case_monitor.steps.outcomes import Outcome
from case_monitor.store import read
from case_monitor.store.other_rules import other_rules_of_stored


def stored_outcome(engine: Engine, stored: read.StoredEvaluation, baseline: ModelVersion | None) -> Outcome:
    """Its verdict, its alerts and where they came from; `baseline` is the version that it stands beside now."""
    return Outcome(
        evaluation_id=stored.id,
        model=stored.model,
        baseline=baseline,
        verdict=read.load_verdict(engine, stored.id),
        alerts=read.load_alerts(engine, stored.id),
        other_rules=other_rules_of_stored(engine, stored),
        run_id=stored.mlflow_run_id,
        artifact_uri=None,
        evaluation=None,
    )
