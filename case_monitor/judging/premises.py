"""Whether what a model returns is what the figures take it for: logits, one for each class, in the classes' order."""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.errors import ModelError
from case_monitor.domain.predictions import PredictedPart
from case_monitor.domain.protocol import AUTO, LOGITS, SIGMOID, SOFTMAX

_ENOUGH = 20
"""Images of which not all logits lie between 0 and 1 by chance."""
_ROUNDED = 1e-6
_NAMED = 5
"""Classes that a note names."""


class SeenOutputs:
    """What all outputs have in common, seen as they pass by.

    Args:
        groups: (C,) for each of the model's classes, as which of fewer it counts; empty: outputs are of its own.
    """

    def __init__(self, groups: Sequence[int] = ()) -> None:
        # Of n numbers between 0 and 1 the logarithm of the sum of their exponentials is as far above log n.
        self._size = np.log(np.bincount(groups)) if groups else np.zeros(1)
        self._low, self._high, self._images = np.inf, -np.inf, 0
        self.one_column = True
        """Whether they are of two classes and came from one number, [-z/2, z/2]."""

    def of(self, parts: Iterable[PredictedPart]) -> Iterator[PredictedPart]:
        """The same parts."""
        for part in parts:
            self._see(part.logits)
            yield part

    def _see(self, logits: npt.NDArray[np.float32]) -> None:
        finite = logits[np.isfinite(logits).all(axis=1)]
        if not len(finite):
            return
        self.one_column &= bool(finite.shape[1] == 2 and (finite[:, 0] == -finite[:, 1]).all())
        values = finite[:, 1] - finite[:, 0] if self.one_column else finite - self._size
        self._low, self._high = min(self._low, float(values.min())), max(self._high, float(values.max()))
        self._images += len(finite)

    def require_logits(self, model: str, outputs: str, configured: str) -> None:
        """See that they are no probabilities that are taken for logits.

        Args:
            model: whose they are, for people.
            outputs: what they were taken for, of `OUTPUTS`.
            configured: what the configuration says that they are.

        Raises:
            ModelError: they all lie between 0 and 1, and nobody has said that they are logits all the same.
        """
        if outputs != LOGITS or configured != AUTO or self._images < _ENOUGH:
            return
        if self._low >= -_ROUNDED and self._high <= 1 + _ROUNDED:
            msg = (
                f"outputs of {model}: logits were expected, {self._low:.3g} to {self._high:.3g} came for all "
                f"{self._images} images, as of a sigmoid: set protocol.outputs: {SIGMOID} for this model if it ends in "
                f"one, {SOFTMAX} if in a softmax, {LOGITS} if these are logits all the same"
            )
            raise ModelError(msg)

    def notes(self, outputs: str, class_names: tuple[str, ...]) -> Iterator[str]:
        """What is said of them with the verdict."""
        if outputs in {SOFTMAX, SIGMOID}:
            inverse = "their logarithm" if outputs == SOFTMAX else "log p - log(1 - p)"
            yield f"The model returns probabilities, of a {outputs}: {inverse} is taken for the logits."
        if self._images and self.one_column:
            yield f"The model returns one number for two classes: above 0, as a logit, it says {class_names[1]!r}."


def order_notes(counts: IntArray, class_names: tuple[str, ...]) -> Iterator[str]:
    """What is said where the classes seem to be in another order than the model's.

    Args:
        counts: (C, C) the confusion matrix, rows true.
        class_names: (C,).
    """
    moved = _moved(counts)
    if not moved:
        return
    total, hits = counts.sum(), np.trace(counts)
    inside = counts[np.ix_([u for u, _ in moved], [u for u, _ in moved])]
    better = hits - np.trace(inside) + sum(counts[u, v] for u, v in moved)
    pairs = ", ".join(f"{class_names[u]!r} for {class_names[v]!r}" for u, v in moved[:_NAMED])
    more = f" and {len(moved) - _NAMED} more" if len(moved) > _NAMED else ""
    yield (
        f"The classes may be in another order than the model's: it takes most images of {pairs}{more}. Accuracy is "
        f"{hits / total:.1%}; in that order it would be {better / total:.1%}. Look at the class names that were logged "
        "with the model, or that the configuration has."
    )


def _moved(counts: IntArray) -> list[tuple[int, int]]:
    """(u, v) where most images of u are taken for v, and all such classes only change places among each other."""
    rows, columns = linear_sum_assignment(-counts)
    support = counts.sum(axis=1)
    mostly = [
        (int(u), int(v)) for u, v in zip(rows, columns, strict=True) if u != v and 2 * counts[u, v] > support[u] > 0
    ]
    while True:  # the rest of a circle that is broken by one class goes with it
        from_, to = {u for u, _ in mostly}, {v for _, v in mostly}
        kept = [(u, v) for u, v in mostly if v in from_ and u in to]
        if len(kept) == len(mostly):
            return kept
        mostly = kept
