"""How often is a model right that never looks at the image? What is learned is what it does better."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from case_monitor.domain.arrays import UNDEFINED, BoolArray, FloatArray, IntArray

_EXACT = 10
"""Classes up to which the best of all orders is found."""
Order = Sequence[int]


def right_without_looking(target: IntArray, excluded: BoolArray, mean_logits: FloatArray) -> float:
    """The share of images that one order of the classes gets right, the same for all images.

    Each image is answered with the first class in the order that is not excluded. Of images of one class, that is the
    share of the most frequent one. Of up to 10 classes it is the best order; of more, the best of three: that of the
    model's own mean logits, which is what it would say if it never looked; by how often classes are asked about; and
    step by step, where next comes the class that is asked about most among images for which all before are excluded.

    Args:
        target: (N,) the classes that images are asked about.
        excluded: (N, C) their other classes.
        mean_logits: (C,) of the model.

    Example:
        >>> right_without_looking(np.array([0, 1, 1]), np.array([[0, 1], [0, 0], [0, 0]], dtype=bool), np.zeros(2))
        1.0
    """
    n, num_classes = len(target), excluded.shape[1]
    if not n:
        return UNDEFINED
    if num_classes <= _EXACT:
        return _most_right(target, excluded) / n
    frequent = np.argsort(-np.bincount(target, minlength=num_classes), kind="stable")
    orders = np.argsort(-mean_logits, kind="stable"), frequent, _step_by_step(target, excluded)
    return max(_right(target, excluded, order) for order in orders) / n


def _most_right(target: IntArray, excluded: BoolArray) -> int:
    """Images that the best order gets right: of each set of classes, the best order in which these come first."""
    num_classes = excluded.shape[1]
    bits = 1 << np.arange(num_classes)
    candidates = ((~excluded) @ bits).tolist()
    questions = Counter(zip(target.tolist(), candidates, strict=True))
    first = np.zeros((num_classes, 1 << num_classes), dtype=np.int64)  # right, if u comes after exactly those classes
    every = np.arange(1 << num_classes)
    for (u, asked), count in questions.items():
        first[u] += count * ((every & asked) == 0)
    best = np.zeros(1 << num_classes, dtype=np.int64)
    for before in range(1 << num_classes):
        for u in range(num_classes):
            if not before >> u & 1:
                after = before | 1 << u
                best[after] = max(best[after], best[before] + first[u, before])
    return int(best[-1])


def _step_by_step(target: IntArray, excluded: BoolArray) -> Order:
    left, order = np.arange(len(target)), list[int]()
    while len(left):
        order.append(int(np.bincount(target[left]).argmax()))
        left = left[excluded[left, order[-1]]]
    return [*order, *(u for u in range(excluded.shape[1]) if u not in order)]


def _right(target: IntArray, excluded: BoolArray, order: Order | IntArray) -> int:
    by_order = np.asarray(order)
    answers = by_order[(~excluded[:, by_order]).argmax(axis=1)]
    return int((answers == target).sum())
