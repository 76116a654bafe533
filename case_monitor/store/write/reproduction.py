"""Nights that looked at a stored evaluation again."""

from sqlalchemy import Engine

import case_monitor
from case_monitor.alerts.life import EvaluationRun, Judged
from case_monitor.domain.reproduction import Reproduction
from case_monitor.store.connection import writing
from case_monitor.store.tables import ReproductionRow
from case_monitor.store.write.alerts import apply_to_alerts
from case_monitor.store.write.rows import bindable, dialect_insert, fields_of


def save_reproduction(
    engine: Engine,
    evaluation_id: int,
    found: Reproduction,
    judged: Judged,
    run: EvaluationRun,
    device: str,
    torch_version: str,
) -> None:
    """Save what a night found, once per run, and with it one more observation of the model's alerts.

    Raises:
        StoreError: The database refused it; nothing was changed.
    """
    row = {
        **fields_of(found),
        "run_id": run.id,
        "evaluation_id": evaluation_id,
        "started_at": run.started_at,
        "reproduced": found.reproduced,
        "device": device,
        "torch_version": torch_version,
        "package_version": case_monitor.__version__,
    }
    with writing(engine) as connection:
        statement = dialect_insert(connection, ReproductionRow).values(bindable(ReproductionRow, row))
        connection.execute(statement.on_conflict_do_nothing())
        apply_to_alerts(connection, evaluation_id, judged, run)
