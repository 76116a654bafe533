"""Writes: one transaction each, idempotent by a natural key: flows retry and schedulers start twice."""

from case_monitor.store.write.alerts import acknowledge, mute, unmute
from case_monitor.store.write.evaluation import keep_seed_group, save_evaluation, set_mlflow_run
from case_monitor.store.write.notices import claim_notices, settle_notices
from case_monitor.store.write.override import apply_override
from case_monitor.store.write.promotion import mark_promotion_applied, note_run, record_promotion
from case_monitor.store.write.reproduction import save_reproduction

__all__ = [
    "acknowledge",
    "apply_override",
    "claim_notices",
    "keep_seed_group",
    "mark_promotion_applied",
    "mute",
    "note_run",
    "record_promotion",
    "save_evaluation",
    "save_reproduction",
    "set_mlflow_run",
    "settle_notices",
    "unmute",
]
