"""An order of the classes in which those that are confused with each other stand side by side."""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
from scipy.spatial.distance import squareform

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.store.read.confusion import StoredConfusion

MAX_OPTIMAL = 200
"""Up to this many classes the leaves are ordered optimally: the cost grows with the cube."""
MAX_CLUSTERED = 2000
"""Beyond this many classes the distances between all of them would take too much memory."""


def clustered(confusion: StoredConfusion) -> IntArray:
    """(C,) class indices in the order of an average-linkage clustering by mutual confusion.

    Two classes are the nearer, the greater the mean share of either that is taken for the other. With more than
    `MAX_CLUSTERED` classes, this is the order of the class indices.
    """
    num_classes = len(confusion.class_names)
    if not 2 < num_classes <= MAX_CLUSTERED:
        return np.arange(num_classes)
    distances = squareform(1 - _mutual_shares(confusion), checks=False)
    tree = linkage(distances, "average")
    if num_classes <= MAX_OPTIMAL:
        tree = optimal_leaf_ordering(tree, distances)
    order: IntArray = leaves_list(tree).astype(np.int64)
    return order


def _mutual_shares(confusion: StoredConfusion) -> FloatArray:
    """(C, C) symmetric; 1 on the diagonal."""
    shares = np.zeros((len(confusion.class_names),) * 2)
    shares[confusion.target, confusion.predicted] = confusion.count / confusion.support[confusion.target]
    mutual: FloatArray = (shares + shares.T) / 2
    np.fill_diagonal(mutual, 1)
    return mutual
