"""The order in which classes that are confused with each other stand side by side."""

import time
from itertools import pairwise

import numpy as np
import pytest

from case_monitor.dashboard.pages.confusion.class_order import MAX_CLUSTERED, MAX_OPTIMAL, clustered
from case_monitor.store.read.confusion import StoredConfusion


def stored(counts: np.ndarray) -> StoredConfusion:
    target, predicted = np.nonzero(counts)
    return StoredConfusion(
        class_names=tuple(f"c{i}" for i in range(len(counts))),
        confidence_level=0.95,
        target=target,
        predicted=predicted,
        count=counts[target, predicted],
    )


def planted(groups: np.ndarray, *, noise: float = 0.02, seed: int = 0) -> np.ndarray:
    """100 images of each class: 70 right, most of the others within the group, few anywhere."""
    rng = np.random.default_rng(seed)
    together = groups[:, None] == groups[None, :]
    weights = np.where(together, rng.uniform(0.5, 1.5, together.shape), noise * rng.random(together.shape))
    np.fill_diagonal(weights, 0)
    shares = 0.3 * weights / weights.sum(axis=1, keepdims=True) + 0.7 * np.eye(len(groups))
    return np.stack([rng.multinomial(100, share) for share in shares])


@pytest.mark.parametrize(("num_classes", "size"), [(12, 3), (60, 5), (MAX_OPTIMAL + 50, 5)])
def test_planted_groups_are_contiguous(num_classes: int, size: int) -> None:
    groups = np.random.default_rng(1).permutation(np.arange(num_classes) // size)
    assert (np.diff(groups) != 0).sum() > 2 * num_classes // size  # not contiguous before
    order = clustered(stored(planted(groups)))
    assert sorted(order) == list(range(num_classes))
    assert (np.diff(groups[order]) != 0).sum() == num_classes // size - 1


def test_leaves_are_ordered_optimally() -> None:
    """A chain, each class confused with the next: whichever way it merged, its neighbours stay neighbours."""
    n = 20
    shuffled = np.random.default_rng(2).permutation(n)
    counts = 60 * np.eye(n, dtype=np.int64)
    for left, right in pairwise(shuffled):
        counts[left, right] = counts[right, left] = 20
    order = clustered(stored(counts)).tolist()
    assert order in (shuffled.tolist(), shuffled[::-1].tolist())


def test_shares_count_and_not_images() -> None:
    """Of class 1 more images go to the others than these exchange, but they are a few in a hundred of its own."""
    order = clustered(stored(np.array([[6, 0, 4], [50, 900, 50], [4, 0, 6]]))).tolist()
    assert abs(order.index(0) - order.index(2)) == 1


@pytest.mark.parametrize("num_classes", [1, 2, MAX_CLUSTERED + 1])
def test_few_or_too_many_classes_stay_as_they_are(num_classes: int) -> None:
    assert clustered(stored(np.eye(num_classes, dtype=np.int64))).tolist() == list(range(num_classes))


def test_classes_without_images_have_a_place() -> None:
    counts = np.zeros((5, 5), dtype=np.int64)
    counts[1, 3] = counts[3, 1] = 4
    order = clustered(stored(counts)).tolist()
    assert sorted(order) == list(range(5))
    assert abs(order.index(1) - order.index(3)) == 1


def test_a_thousand_classes_are_ordered_quickly() -> None:
    confusion = stored(planted(np.arange(1000) // 10, noise=0.001))
    best = min(_seconds(confusion) for _ in range(3))
    assert best < 0.5  # 30 ms on an idle core; this is to notice another order of growth


def _seconds(confusion: StoredConfusion) -> float:
    start = time.perf_counter()
    clustered(confusion)
    return time.perf_counter() - start
