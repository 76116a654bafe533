"""Where a model looks: likeness of places, pair by pair."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from case_monitor.measuring.position import places_of, positions


def packed(*masks: list[int]) -> np.ndarray:
    return np.packbits(np.array(masks, dtype=bool), axis=1)


def test_by_hand() -> None:
    """Two of three images look at one place, the third shares one of its two pixels with them."""
    places = packed([1, 1, 0, 0, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0, 0, 1])
    found = positions(places, np.array([4, 4, 2]))
    assert_allclose(found["position"], [0.75, 0.75, 0.5])
    assert_allclose(found["class_position"], [1, 1, np.nan])


@pytest.mark.parametrize("size", [(6, 10), (5, 7)])
def test_the_mean_over_images_is_that_over_all_pairs(size: tuple[int, int]) -> None:
    rng = torch.Generator().manual_seed(0)
    maps, target = torch.randn(30, 1, 3, 4, generator=rng), np.arange(30) % 3
    maps[4] = -1.0  # degenerate
    large = torch.nn.functional.interpolate(maps, size=size, mode="bilinear", align_corners=False)[:, 0].flatten(1)
    count = int(0.2 * size[0] * size[1])
    tops = [set(m.argsort(descending=True)[:count].tolist()) & set((m > 0).nonzero().flatten().tolist()) for m in large]
    found = positions(places_of(maps, size, 0.2), target)

    def pairs(of: list[int]) -> float:
        some = [i for i in of if tops[i]]
        alike = [len(tops[i] & tops[j]) / (len(tops[i]) * len(tops[j])) ** 0.5 for i in some for j in some if i != j]
        return float(np.mean(alike))

    assert np.nanmean(found["position"]) == pytest.approx(pairs(list(range(30))))
    for u in range(3):
        of_class = found["class_position"][target == u]
        assert np.nanmean(of_class) == pytest.approx(pairs(np.flatnonzero(target == u).tolist()))
    assert (
        np.isnan(found["position"]).nonzero()[0].tolist()
        == [4]
        == np.isnan(found["class_position"]).nonzero()[0].tolist()
    )


def test_limits() -> None:
    same, apart = np.eye(1, 64, dtype=bool).repeat(5, 0), np.eye(5, 64, dtype=bool)
    for masks, expected in ((same, 1.0), (apart, 0.0)):
        found = positions(np.packbits(masks, axis=1), np.zeros(5, dtype=np.int64))
        assert_allclose(found["position"], expected)
        assert_allclose(found["class_position"], expected)


@pytest.mark.parametrize("n", [0, 1])
def test_of_no_other_image_nothing_is_known(n: int) -> None:
    for of in positions(np.full((n, 3), 7, dtype=np.uint8), np.zeros(n, dtype=np.int64)).values():
        assert np.isnan(of).tolist() == [True] * n
