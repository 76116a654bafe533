"""Does a map point at the object: by hand."""

import numpy as np
import torch
from numpy.testing import assert_allclose

from case_monitor.measuring.diagnostics.order import level_order
from case_monitor.measuring.localisation import localisation

MAP = torch.tensor([[[9.0, 8, 7], [6, 5, 4], [3, 2, 0]]])


def found(maps: torch.Tensor, objects: list[list[int]]) -> tuple[float, float]:
    marked = torch.tensor([objects]).bool()
    values = localisation({"map": maps}, marked, level_order(np.array([3]), 0, (3, 3)))
    return values["map", "pointing_game"][0], values["map", "object_iou"][0]


def test_by_hand() -> None:
    assert found(MAP, [[1, 1, 0], [0, 0, 0], [0, 0, 0]]) == (1.0, 1.0)
    assert found(MAP, [[0, 1, 1], [0, 0, 0], [0, 0, 0]]) == (0.0, 1 / 3)  # 9 and 8 against 8 and 7
    assert found(MAP, [[0, 0, 0], [0, 0, 0], [1, 1, 1]]) == (0.0, 0.0)
    assert found(MAP, [[1, 1, 1], [1, 1, 1], [1, 1, 1]]) == (1.0, 8 / 9)  # what is 0 is pointed at by nothing


def test_the_overlap_is_that_of_relevance_rank_accuracy() -> None:
    """Of as many pixels as the object has, a share r on it: r / (2 - r) (Arras et al. 2022, arXiv 2003.07258)."""
    generator = torch.Generator().manual_seed(0)
    maps, marked = torch.rand(50, 8, 9, generator=generator), torch.rand(50, 8, 9, generator=generator) < 0.3
    values = localisation({"map": maps}, marked, level_order(np.arange(50), 0, (8, 9)))["map", "object_iou"]
    for i in range(50):
        count = int(marked[i].sum())
        highest = maps[i].flatten().argsort(descending=True)[:count]
        share = float(marked[i].flatten()[highest].float().mean())
        assert_allclose(values[i], share / (2 - share), rtol=1e-6)


def test_nothing_to_point_with_or_at_has_no_number() -> None:
    assert np.isnan(found(torch.zeros(1, 3, 3), [[1, 0, 0], [0, 0, 0], [0, 0, 0]])).all()
    assert np.isnan(found(MAP, [[0, 0, 0], [0, 0, 0], [0, 0, 0]])).all()


def test_of_level_pixels_any_may_be_the_highest() -> None:
    """Chance, and no corner's privilege; a half of the pixels is the object."""
    maps = torch.tensor([[[2.0, 2, 2, 2, 1, 0]]]).expand(2000, -1, -1)
    marked = torch.tensor([[[1, 1, 0, 0, 0, 0]]]).bool().expand(2000, -1, -1)
    hits = localisation({"map": maps}, marked, level_order(np.arange(2000), 0, (1, 6)))["map", "pointing_game"]
    assert abs(hits.mean() - 0.5) < 4 * 0.5 / np.sqrt(2000)
