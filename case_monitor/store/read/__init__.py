"""Reads. They return frozen records; no row of a table leaves this package."""

from case_monitor.store.read.alerts import load_alerts
from case_monitor.store.read.contrast_sets import load_contrast_sets
from case_monitor.store.read.evaluations import (
    StoredEvaluation,
    evaluations,
    find_evaluation,
    first_digest,
    latest_evaluation,
)
from case_monitor.store.read.promotions import StoredPromotion
from case_monitor.store.read.summaries import load_summaries
from case_monitor.store.read.verdicts import load_verdict

__all__ = [
    "StoredEvaluation",
    "StoredPromotion",
    "evaluations",
    "find_evaluation",
    "first_digest",
    "latest_evaluation",
    "load_alerts",
    "load_contrast_sets",
    "load_summaries",
    "load_verdict",
]
