"""Confusion matrix, soft confusion and per-class quality."""

import numpy as np
from scipy.special import softmax

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.confusion_matrix import ClassMetrics, ConfusionMatrix
from case_monitor.domain.predictions import Predictions
from case_monitor.judging.statistics.intervals import wilson_interval


class ConfusionCounter:
    """Adds up a confusion matrix, part by part.

    Probabilities are added image by image. As long as the parts come in the split's order, the sums are the same to
    the last bit, however it was cut.
    """

    def __init__(self, num_classes: int) -> None:
        self._counts = np.zeros((num_classes, num_classes), dtype=np.int64)
        self._soft = np.zeros((num_classes, num_classes))
        self._excluded = np.zeros((num_classes, num_classes), dtype=np.int64)

    def add(self, preds: Predictions) -> None:
        """Count the next images."""
        defined = preds.defined
        target = preds.target[defined]
        np.add.at(self._counts, (target, preds.preds[defined]), 1)
        if preds.excluded is not None:
            np.add.at(self._excluded, target, preds.excluded[defined])
        np.add.at(self._soft, target, softmax(preds.asked[defined].astype(np.float64), axis=1))

    def matrix(self) -> ConfusionMatrix:
        """Of the images counted so far."""
        support = self._counts.sum(axis=1, keepdims=True)
        # Of images that could be taken for the class; where none could, it is no rival.
        asked = support - self._excluded
        soft = np.where(support > 0, np.zeros_like(self._soft), np.nan)
        np.divide(self._soft, asked, out=soft, where=asked > 0)
        return ConfusionMatrix(counts=self._counts.copy(), soft=soft)


def _ratio(numerator: IntArray, denominator: IntArray) -> FloatArray:
    ratio = np.full(len(numerator), np.nan)
    np.divide(numerator, denominator, out=ratio, where=denominator > 0)
    return ratio


def class_metrics(
    confmat: ConfusionMatrix, active_channels: FloatArray, confidence_level: float
) -> tuple[ClassMetrics, ...]:
    """Precision, recall (with Wilson's interval) and F1 of every class; NaN where undefined.

    Args:
        confmat: of the split.
        active_channels: (C,) mean number of active channels per class.
        confidence_level: of the recall's interval.
    """
    counts = confmat.counts
    hits, support, predicted = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    precision, recall = _ratio(hits, predicted), _ratio(hits, support)
    f1 = _ratio(2 * hits, support + predicted)
    metrics = []
    for u in range(len(counts)):
        low, high = wilson_interval(int(hits[u]), int(support[u]), confidence_level)
        row = ClassMetrics(
            class_idx=u,
            support=int(support[u]),
            precision=float(precision[u]),
            recall=float(recall[u]),
            f1=float(f1[u]),
            recall_ci_low=low,
            recall_ci_high=high,
            active_channels=float(active_channels[u]),
        )
        metrics.append(row)
    return tuple(metrics)
