"""Images of several classes: how well does the model say yes and no to each class, whatever it says of the others?"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.policy import Policy
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.protocol import SOFTMAX, Protocol
from case_monitor.domain.split import Split
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures.row import NO_IMAGE, NO_YES, NOT_FINITE, rate_row


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


_FIGURES = ("label_precision", "label_recall")


class LabelCounter:
    """Counts, part by part, what the model says yes to. One number for two classes, [-z/2, z/2], is taken as z.

    Args:
        thresholds: (C,) the probability of each class, its logistic function, from which that is so.
    """

    def __init__(self, thresholds: FloatArray) -> None:
        self._cuts = np.log(thresholds) - np.log1p(-thresholds)
        self._hits, self._said, self._there, self._broken = np.zeros((4, len(thresholds)), dtype=np.int64)

    def add(self, preds: Predictions) -> None:
        """Count the next images; those without finite logits say nothing."""
        defined, logits = preds.defined, preds.logits
        if logits.shape[1] == 2 and (logits[defined, 0] == -logits[defined, 1]).all():
            logits = 2 * logits
        there = np.zeros_like(preds.logits, dtype=bool) if preds.excluded is None else preds.excluded.copy()
        there[np.arange(len(there)), preds.target] = True
        self._broken += there[~defined].sum(0)
        said, there = logits[defined] >= self._cuts, there[defined]
        self._hits += (said & there).sum(0)
        self._said += said.sum(0)
        self._there += there.sum(0)

    def summaries(self, confidence_level: float) -> Iterator[MetricSummary]:
        """Precision and recall of each class, with Wilson's intervals: of one class, images are independent."""
        unbroken = np.zeros_like(self._broken)
        for metric, of, broken, empty in (
            ("label_precision", self._said, unbroken, NO_YES),
            ("label_recall", self._there, self._broken, NO_IMAGE),
        ):
            for u, (hits, n, undefined) in enumerate(
                zip(self._hits.tolist(), of.tolist(), broken.tolist(), strict=True)
            ):
                yield rate_row(
                    metric,
                    "",
                    hits,
                    n,
                    confidence_level=confidence_level,
                    reference=0.0,
                    n_undefined=undefined,
                    because=NOT_FINITE if undefined else empty,
                    class_idx=u,
                )


def label_counter(split: Split, protocol: Protocol, outputs: str, *, several: bool) -> LabelCounter | None:
    """One for a split whose images are of several classes; None where its logits are no answers to each class alone.

    Those of a softmax say which class is likeliest; those of classes that count as one are of all of them together.

    Raises:
        ConfigError: see `thresholds_of`.
    """
    if not several or outputs == SOFTMAX or split.groups:
        return None
    return LabelCounter(thresholds_of(protocol, split.class_names))


def label_notes(split: Split, outputs: str, *, several: bool) -> Iterator[str]:
    """What there is to say where images are of several classes, and no logit is an answer to one of them alone."""
    if several and (outputs == SOFTMAX or split.groups):
        why = "several of the model's classes count as one" if split.groups else "the model returns a softmax"
        yield f"There is no label_precision or label_recall: {why}, which says no yes or no to a class by itself."


def require_label_figures(policy: Policy, found: LabelCounter | None, split: Split) -> None:
    """See that rules about what a model says yes to have something to be about.

    Raises:
        ConfigError: there is such a rule, and no such figure.
    """
    rule = next((rule for rule in policy.rules if rule.metric in _FIGURES), None)
    if rule is not None and found is None:
        raise ConfigError(
            f"policy.thresholds: {rule.metric} is of images of several classes, and of a model that says yes or no to "
            f"each by itself (no softmax, no class_map): there is no such figure on {split.name!r}"
        )
