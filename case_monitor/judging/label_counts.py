"""Images of several classes: how well does the model say yes and no to each class, whatever it says of the others?"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.protocol import SOFTMAX, Protocol
from case_monitor.domain.split import Split
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures.row import NO_IMAGE, NO_YES, rate_row


def thresholds_of(protocol: Protocol, class_names: Sequence[str]) -> FloatArray:
    """(C,) the probability from which the model says yes to each class.

    Raises:
        ConfigError: there is one of a class that the model does not have.
    """
    own: Mapping[str, float] = protocol.label_thresholds
    unknown = sorted(set(own) - set(class_names))
    if unknown:
        shown = ", ".join(map(repr, unknown[:5]))
        raise ConfigError(f"protocol.label_thresholds: classes of the model were expected, {shown} came")
    return np.array([own.get(name, protocol.label_threshold) for name in class_names])


class LabelCounter:
    """Counts, part by part, what the model says yes to.

    Args:
        thresholds: (C,) the probability of each class, its logistic function, from which that is so.
    """

    def __init__(self, thresholds: FloatArray) -> None:
        self._cuts = np.log(thresholds) - np.log1p(-thresholds)
        self._hits, self._said, self._there = np.zeros((3, len(thresholds)), dtype=np.int64)

    def add(self, preds: Predictions) -> None:
        """Count the next images; those without finite logits say nothing."""
        defined = preds.defined
        there = np.zeros_like(preds.logits, dtype=bool) if preds.excluded is None else preds.excluded.copy()
        there[np.arange(len(there)), preds.target] = True
        said, there = preds.logits[defined] >= self._cuts, there[defined]
        self._hits += (said & there).sum(0)
        self._said += said.sum(0)
        self._there += there.sum(0)

    def summaries(self, confidence_level: float) -> Iterator[MetricSummary]:
        """Precision and recall of each class, with Wilson's intervals: of one class, images are independent."""
        for metric, of, because in (
            ("label_precision", self._said, NO_YES),
            ("label_recall", self._there, NO_IMAGE),
        ):
            for u, (hits, n) in enumerate(zip(self._hits.tolist(), of.tolist(), strict=True)):
                yield rate_row(
                    metric,
                    "",
                    hits,
                    n,
                    confidence_level=confidence_level,
                    reference=0.0,
                    because=because,
                    class_idx=u,
                )


def label_counter(split: Split, protocol: Protocol, outputs: str, *, several: bool) -> LabelCounter | None:
    """One for a split whose images are of several classes; None where its logits are no answers to each class alone.

    Those of a softmax say which class is likeliest; those of classes that count as one are of all of them together.

    Raises:
        ConfigError: see `thresholds_of`.
    """
    thresholds = thresholds_of(protocol, split.class_names)
    return LabelCounter(thresholds) if several and outputs != SOFTMAX and not split.groups else None
