"""Which classes are taken for which, and how well each is told."""

from dataclasses import dataclass

from case_monitor.domain.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfusionMatrix:
    """`counts` (C, C), rows true, columns predicted; `soft` (C, C): mean softmax probability per true class.

    A row of `soft` whose class has no image is NaN.
    """

    counts: IntArray
    soft: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMetrics:
    """Quality of one class. Undefined values (no image, nothing predicted) are NaN, never 0."""

    class_idx: int
    support: int
    precision: float
    recall: float
    f1: float
    recall_ci_low: float
    recall_ci_high: float
    active_channels: float
