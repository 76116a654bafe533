"""Evaluations, each whole with the model version that it is of."""

import uuid
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, delete, insert, update

from case_monitor.alerts.life import EvaluationRun, Scope
from case_monitor.domain.errors import StoreError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.evidence import Evidence
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.model_version import ModelVersion
from case_monitor.store.connection import writing
from case_monitor.store.tables import NATURAL_KEY, EvaluationRow, ModelVersionRow, name_digest
from case_monitor.store.write.alerts import apply_to_alerts
from case_monitor.store.write.evaluation_rows import PARTS, evaluation_row
from case_monitor.store.write.gallery_rows import gallery_rows
from case_monitor.store.write.outbox import keep
from case_monitor.store.write.rows import bindable, dialect_insert


def save_evaluation(
    engine: Engine,
    evaluation: Evaluation,
    run: EvaluationRun | None = None,
    gallery: Gallery | None = None,
    evidence: Evidence | None = None,
) -> int:
    """Save an evaluation whole, or not at all, and with it what it means for the alerts of its model.

    Where its natural key is stored already, that row keeps its id, `created_at`, MLflow run and promotions,
    and everything else is replaced. What an alert observes is counted once per run, however often it is saved, so
    that a night's run counts although its key is that of the night before.

    Args:
        engine: the results database.
        evaluation: what was found.
        run: the run that found it; without one this call is a run by itself, of a candidate.
        gallery: the pictures to show with it; without them none are kept, whatever was stored before.
        evidence: what MLflow is to be told of it, which waits in the outbox in the place of what waited there.

    Returns:
        The evaluation's id.

    Raises:
        StoreError: The database refused it; nothing was changed.
    """
    run = run or _run_of_this_call()
    pictures = gallery_rows(gallery or Gallery.empty())
    with writing(engine) as connection:
        model_version_id = _upsert_model_version(connection, evaluation.model)
        # This locks the row: of two writers of one key the second waits, then replaces what the first wrote.
        evaluation_id = _upsert_evaluation(connection, model_version_id, evaluation, run.flow_run_id)
        parts = {table: rows_of(evaluation) for table, rows_of in PARTS.items()} | pictures
        for table in reversed(parts):
            connection.execute(delete(table).where(table.evaluation_id == evaluation_id))
        for table, rows in parts.items():
            bound = [bindable(table, {"evaluation_id": evaluation_id, **row}) for row in rows]
            if bound:
                connection.execute(insert(table), bound)
        apply_to_alerts(connection, evaluation_id, evaluation, run)
        keep(connection, evaluation_id, evidence)
    return evaluation_id


def set_mlflow_run(engine: Engine, evaluation_id: int, run_id: str, experiment_id: str | None = None) -> None:
    """Note the MLflow run that holds the evaluation's evidence, and the experiment that it is in."""
    values = bindable(EvaluationRow, {"mlflow_run_id": run_id, "mlflow_experiment_id": experiment_id})
    with writing(engine) as connection:
        found = connection.execute(update(EvaluationRow).where(EvaluationRow.id == evaluation_id).values(values))
        if not found.rowcount:
            raise StoreError(f"evaluation {evaluation_id} is not stored")


def keep_seed_group(engine: Engine, model: ModelVersion) -> None:
    """Write down to which study of seeds an evaluated version belongs now."""
    version = ModelVersionRow.name_digest == name_digest(model.name), ModelVersionRow.version == model.version
    with writing(engine) as connection:
        connection.execute(update(ModelVersionRow).where(*version).values(seed_group=model.seed_group))


def _run_of_this_call() -> EvaluationRun:
    return EvaluationRun(id=str(uuid.uuid4()), started_at=datetime.now(UTC), scope=Scope.CANDIDATE)


def _upsert_model_version(connection: Connection, model: ModelVersion) -> int:
    row = {
        "name": model.name,
        "name_digest": name_digest(model.name),
        "version": model.version,
        "run_id": model.run_id,
        "seed_group": model.seed_group,
    }
    statement = dialect_insert(connection, ModelVersionRow).values(bindable(ModelVersionRow, row))
    statement = statement.on_conflict_do_update(
        index_elements=["name_digest", "version"],
        set_={name: statement.excluded[name] for name in ("run_id", "seed_group")},
    )
    return connection.execute(statement.returning(ModelVersionRow.id)).scalar_one()


def _upsert_evaluation(
    connection: Connection, model_version_id: int, evaluation: Evaluation, flow_run_id: str | None
) -> int:
    row = evaluation_row(model_version_id, evaluation) | {"flow_run_id": flow_run_id}
    row = bindable(EvaluationRow, row)
    statement = dialect_insert(connection, EvaluationRow).values(row)
    replaced = {name: statement.excluded[name] for name in row if name not in (*NATURAL_KEY, "created_at")}
    statement = statement.on_conflict_do_update(index_elements=NATURAL_KEY, set_=replaced)
    return connection.execute(statement.returning(EvaluationRow.id)).scalar_one()
