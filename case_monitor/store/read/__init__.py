"""Reads. They return frozen records; no row of a table leaves this package."""

from case_monitor.store.read.evaluations import (
    StoredEvaluation,
    StoredPromotion,
    evaluation_of,
    evaluations,
    find_evaluation,
    first_digest,
    latest_evaluation,
    load_alerts,
    load_contrast_sets,
    load_summaries,
    load_verdict,
)

__all__ = [
    "StoredEvaluation",
    "StoredPromotion",
    "evaluation_of",
    "evaluations",
    "find_evaluation",
    "first_digest",
    "latest_evaluation",
    "load_alerts",
    "load_contrast_sets",
    "load_summaries",
    "load_verdict",
]
