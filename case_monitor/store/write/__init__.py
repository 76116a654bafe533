"""Writes: one transaction each, idempotent by a natural key: flows retry and schedulers start twice."""

from case_monitor.store.write.evaluation import save_evaluation, set_mlflow_run
from case_monitor.store.write.promotion import mark_promotion_applied, record_promotion

__all__ = ["mark_promotion_applied", "record_promotion", "save_evaluation", "set_mlflow_run"]
