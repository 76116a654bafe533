"""Evaluations, each whole with the model version that it is of."""

from sqlalchemy import Connection, Engine, delete, insert, update

from case_monitor.core.errors import StoreError
from case_monitor.core.records import Evaluation, ModelVersion
from case_monitor.store.connection import writing
from case_monitor.store.tables import NATURAL_KEY, EvaluationRow, ModelVersionRow, name_digest
from case_monitor.store.write.evaluation_rows import PARTS, evaluation_row
from case_monitor.store.write.rows import bindable, dialect_insert


def save_evaluation(engine: Engine, evaluation: Evaluation) -> int:
    """Save an evaluation whole, or not at all.

    Where its natural key is stored already, that row keeps its id, `created_at`, MLflow run and promotions,
    and everything else is replaced.

    Returns:
        The evaluation's id.

    Raises:
        StoreError: The database refused it; nothing was changed.
    """
    with writing(engine) as connection:
        model_version_id = _upsert_model_version(connection, evaluation.model)
        # This locks the row: of two writers of one key the second waits, then replaces what the first wrote.
        evaluation_id = _upsert_evaluation(connection, model_version_id, evaluation)
        for table in reversed(PARTS):
            connection.execute(delete(table).where(table.evaluation_id == evaluation_id))
        for table, rows_of in PARTS.items():
            rows = [bindable(table, {"evaluation_id": evaluation_id, **row}) for row in rows_of(evaluation)]
            if rows:
                connection.execute(insert(table), rows)
    return evaluation_id


def set_mlflow_run(engine: Engine, evaluation_id: int, run_id: str) -> None:
    """Note the MLflow run that holds the evaluation's evidence."""
    values = bindable(EvaluationRow, {"mlflow_run_id": run_id})
    with writing(engine) as connection:
        found = connection.execute(update(EvaluationRow).where(EvaluationRow.id == evaluation_id).values(values))
        if not found.rowcount:
            raise StoreError(f"evaluation {evaluation_id} is not stored")


def _upsert_model_version(connection: Connection, model: ModelVersion) -> int:
    row = {
        "name": model.name,
        "name_digest": name_digest(model.name),
        "version": model.version,
        "run_id": model.run_id,
    }
    statement = dialect_insert(connection, ModelVersionRow).values(bindable(ModelVersionRow, row))
    statement = statement.on_conflict_do_update(
        index_elements=["name_digest", "version"], set_={"run_id": statement.excluded.run_id}
    )
    return connection.execute(statement.returning(ModelVersionRow.id)).scalar_one()


def _upsert_evaluation(connection: Connection, model_version_id: int, evaluation: Evaluation) -> int:
    row = bindable(EvaluationRow, evaluation_row(model_version_id, evaluation))
    statement = dialect_insert(connection, EvaluationRow).values(row)
    replaced = {name: statement.excluded[name] for name in row if name not in (*NATURAL_KEY, "created_at")}
    statement = statement.on_conflict_do_update(index_elements=NATURAL_KEY, set_=replaced)
    return connection.execute(statement.returning(EvaluationRow.id)).scalar_one()
