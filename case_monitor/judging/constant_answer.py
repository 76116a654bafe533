"""How often is a model right that never looks at the image? What is learned is what it does better."""

import numpy as np

from case_monitor.domain.arrays import UNDEFINED, BoolArray, IntArray


def right_without_looking(target: IntArray, excluded: BoolArray) -> float:
    """The share of images that one order of the classes gets right, the same for all images.

    Of images of one class, that is the share of the most frequent one. Where images are of several, each is answered
    with the first class in the order that is not excluded. The order is made step by step: next comes the class that
    is asked about most among images for which all before it are excluded.

    Args:
        target: (N,) the classes that images are asked about.
        excluded: (N, C) their other classes.

    Example:
        >>> right_without_looking(np.array([0, 1, 1]), np.array([[0, 1], [0, 0], [0, 0]], dtype=bool))
        1.0
    """
    n = len(target)
    if not n:
        return UNDEFINED
    left, right = np.arange(n), 0
    while len(left):
        u = int(np.bincount(target[left]).argmax())
        right += int((target[left] == u).sum())
        left = left[excluded[left, u]]
    return right / n
