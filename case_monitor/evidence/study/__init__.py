"""The report of a study: its cells as the paper's tables and figures, and beside them what the paper does not ask."""

from case_monitor.evidence.study.cells import StudyCell, load_cell, on_other_images
from case_monitor.evidence.study.report import write_study

__all__ = ["StudyCell", "load_cell", "on_other_images", "write_study"]
