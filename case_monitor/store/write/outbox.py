"""The outbox: evidence is kept with its evaluation, and deleted once MLflow has it."""

from sqlalchemy import Connection, Engine, delete, insert, update

from case_monitor.domain.evidence import Evidence
from case_monitor.store.connection import writing
from case_monitor.store.tables import EvaluationRow, OutboxRow
from case_monitor.store.write.rows import Row, bindable


def keep(connection: Connection, evaluation_id: int, evidence: Evidence | None) -> None:
    """Put it in the place of what waits of this evaluation; None: nothing is to be sent of it."""
    connection.execute(delete(OutboxRow).where(OutboxRow.evaluation_id == evaluation_id))
    if evidence is None:
        return
    content = {
        "metrics": dict(evidence.metrics),
        "run_tags": dict(evidence.run_tags),
        "version_tags": dict(evidence.version_tags),
    }
    row: Row = {"evaluation_id": evaluation_id, "run_key": evidence.key, "made_at": evidence.made_at}
    row |= {"content": content, "files": evidence.files, "tries": 0, "failure": None}
    connection.execute(insert(OutboxRow).values(bindable(OutboxRow, row)))


def settle(engine: Engine, evaluation_id: int, evidence: Evidence, run_id: str, experiment_id: str) -> bool:
    """Note the run that holds the evidence now, and that nothing waits.

    Returns:
        Whether this very evidence waited; where the evaluation was saved anew meanwhile, its own goes on waiting.
    """
    this_one = (OutboxRow.evaluation_id == evaluation_id, OutboxRow.made_at == evidence.made_at)
    values = bindable(EvaluationRow, {"mlflow_run_id": run_id, "mlflow_experiment_id": experiment_id})
    with writing(engine) as connection:
        was_there = bool(connection.execute(delete(OutboxRow).where(*this_one)).rowcount)
        if was_there:
            connection.execute(update(EvaluationRow).where(EvaluationRow.id == evaluation_id).values(values))
    return was_there


def give_up(engine: Engine, evaluation_id: int, evidence: Evidence) -> None:
    """Keep this evidence no longer, though nobody has it."""
    with writing(engine) as connection:
        connection.execute(
            delete(OutboxRow).where(OutboxRow.evaluation_id == evaluation_id, OutboxRow.made_at == evidence.made_at)
        )


def note_failure(engine: Engine, evaluation_id: int, failure: str) -> None:
    """Remember why a try came to nothing."""
    row = bindable(OutboxRow, {"failure": failure})
    with writing(engine) as connection:
        mine = update(OutboxRow).where(OutboxRow.evaluation_id == evaluation_id)
        connection.execute(mine.values(tries=OutboxRow.tries + 1, **row))
