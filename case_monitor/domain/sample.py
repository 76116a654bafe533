"""The images that are explained: drawn without looking at the model, kept where it is right."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.predictions import Predictions


def drawn_indices(size: int, sample_size: int, seed: int) -> IntArray:
    """Draw `sample_size` images of a split of `size`, without looking at the model."""
    return np.asarray(np.sort(np.random.default_rng(seed).permutation(size)[:sample_size]), dtype=np.int64)


def drawn_by_class(target: IntArray, sample_size: int, seed: int) -> IntArray:
    """The same with as equal a number of each class as there are images of it.

    One image of every class is drawn, then a second one, and so on; in the last round, the seed says of which classes.
    Classes count by the images that they have, so that versions that number them otherwise get the same images.

    Example:
        >>> np.array([0, 0, 0, 0, 0, 1, 2, 2])[drawn_by_class(np.array([0, 0, 0, 0, 0, 1, 2, 2]), 5, seed=0)].tolist()
        [0, 0, 1, 2, 2]
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(target))
    _, first, kind, counts = np.unique(target, return_index=True, return_inverse=True, return_counts=True)
    turns = rng.permutation(len(first))[first.argsort().argsort()][kind]  # by where classes stand, not by their numbers
    rounds = np.empty(len(target), dtype=np.int64)
    rounds[order[np.argsort(target[order], kind="stable")]] = np.concatenate([np.arange(n) for n in (0, *counts)])
    return np.asarray(np.sort(np.lexsort((turns, rounds))[:sample_size]), dtype=np.int64)


def second_best(logits: npt.NDArray[np.float32], top1: IntArray) -> IntArray:
    """(n,) the class with the highest logit beside `top1`, the lowest index where several are equal.

    Example:
        >>> second_best(np.float32([[1, 1, 0]]), np.array([0])).tolist()
        [1]
    """
    others = logits.copy()
    others[np.arange(len(others)), top1] = -np.inf
    return np.asarray(others.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sample:
    """The images to explain: the correctly classified ones of those drawn.

    Attributes:
        indices: (n,) where they are in the split.
        preds: of them alone.
        top2: (n,) the class with the second highest logit.
    """

    indices: IntArray
    preds: Predictions
    top2: IntArray

    def spread(self, count: int) -> "Sample":
        """At most so many of them, evenly over all: a split may be sorted by class."""
        total = len(self.indices)
        places = np.unique(np.linspace(0, total - 1, min(count, total)).round().astype(int))
        return Sample(indices=self.indices[places], preds=self.preds.of(places), top2=self.top2[places])

    @classmethod
    def of(cls, drawn: IntArray, preds: Predictions) -> "Sample":
        """Take the correctly classified ones of the images `drawn` from a split, whose predictions are `preds`."""
        places = np.flatnonzero(preds.preds == preds.target)
        correct = preds.of(places)
        return cls(indices=drawn[places], preds=correct, top2=second_best(correct.asked, correct.target))
