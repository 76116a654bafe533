"""Figures of a saliency method that are means over the explained images: one function each.

A metric is its row in the catalogue (`domain/metrics.py`) and, if it is such a mean, its function here.
"""

from collections.abc import Callable

import numpy as np

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.metrics import METRICS
from case_monitor.domain.scores import SampleScores


def agreement(scores: SampleScores, method: str, _suffix: str) -> FloatArray:
    """(n,) what the maps for the first and the second class share."""
    return scores.values[method, "agreement"]


def confidence_drop(scores: SampleScores, method: str, suffix: str) -> FloatArray:
    """(n,) by how much the confidence falls without the pixels that the map points at."""
    return scores.values[method, f"confidence_drop_{suffix}"]


def abs_confidence_drop(scores: SampleScores, method: str, suffix: str) -> FloatArray:
    """(n,) its size, whichever way it goes."""
    return np.abs(confidence_drop(scores, method, suffix))


def relative_confidence_drop(scores: SampleScores, method: str, suffix: str) -> FloatArray:
    """(n,) as a share of the confidence; a rise counts as none."""
    return np.asarray(np.maximum(confidence_drop(scores, method, suffix), 0) / scores.confidence)


MEANS: dict[str, Callable[[SampleScores, str, str], FloatArray]] = {
    "agreement_mean": agreement,
    "confidence_drop_{}": confidence_drop,
    "abs_confidence_drop_{}": abs_confidence_drop,
    "relative_confidence_drop_{}": relative_confidence_drop,
}
"""Row of the catalogue -> function of scores, method and the fidelity test's area and fill ("" without one)."""


def means_by_area(*, by_area: bool) -> tuple[str, ...]:
    """The rows that there are for every area and fill of the fidelity test, or those that there are once."""
    return tuple(name for name in MEANS if ("{}" in METRICS[name].name) is by_area)
