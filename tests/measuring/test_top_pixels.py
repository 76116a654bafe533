"""The top-pixel mask against a slow reference in plain Python."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from case_monitor.domain import top_pixels as one_map
from case_monitor.domain.errors import DataError
from case_monitor.domain.top_pixels import pixel_budget
from case_monitor.measuring.top_pixels import is_degenerate, top_fraction_mask
from tests.support.profiles import examples
from tests.support.rounding import masks_but_for_rounding

# Few distinct values, so that ties are the rule.
MAPS = arrays(np.float32, array_shapes(min_dims=2, max_dims=2, min_side=4, max_side=9), elements=st.sampled_from(
    [0.0, 0.0, 0.25, 0.5, 0.5, 1.0, -1.0]
))  # fmt: skip


def slow_mask(saliency: np.ndarray, fraction: float) -> np.ndarray:
    mask = np.zeros(saliency.size, dtype=bool)
    flat = saliency.ravel().tolist()
    if max(flat) > 0 and len(set(flat)) > 1:
        positive = [i for i, value in enumerate(flat) if value > 0]
        best = sorted(positive, key=lambda i: (-flat[i], i))
        mask[best[: math.floor(fraction * len(flat) + 1e-9)]] = True
    return mask.reshape(saliency.shape)


@examples(150)
@given(saliency=MAPS, fraction=st.sampled_from([0.07, 0.25, 0.5, 0.9, 1.0]))
def test_the_mask_equals_a_slow_reference(saliency: np.ndarray, fraction: float) -> None:
    mask = top_fraction_mask(torch.from_numpy(saliency), fraction)
    np.testing.assert_array_equal(mask.numpy(), slow_mask(saliency, fraction))
    np.testing.assert_array_equal(one_map.top_pixels(saliency, fraction), slow_mask(saliency, fraction))


@given(saliency=arrays(np.float64, (3, 4), elements=st.sampled_from([0.0, -1.0, 1.0, 1.0 + 1e-7, np.nan, np.inf])))
def test_both_sides_call_the_same_maps_degenerate(saliency: np.ndarray) -> None:
    degenerate = bool(is_degenerate(torch.from_numpy(saliency)))
    assert one_map.is_degenerate(saliency) == degenerate
    if degenerate:
        assert not one_map.top_pixels(saliency, 0.5).any()


@examples(150)
@given(saliency=MAPS, fraction=st.sampled_from([0.07, 0.25, 0.5]), seed=st.integers(0, 99))
def test_noise_exchanges_only_pixels_at_the_cut(saliency: np.ndarray, fraction: float, seed: int) -> None:
    noise = 1e-6
    exact = torch.from_numpy(saliency).relu().double()
    noisy = exact + noise * (2 * torch.rand(exact.shape, generator=torch.Generator().manual_seed(seed)) - 1) * (
        exact > 0
    )
    before, after = top_fraction_mask(exact, fraction), top_fraction_mask(noisy, fraction)
    if is_degenerate(exact) != is_degenerate(noisy):  # a constant map is one only but for rounding
        return
    assert before.sum() == after.sum()
    changed = before != after
    if changed.any():
        assert (exact[changed] - exact[before].min()).abs().max() <= 2 * noise


def test_the_choices_that_rounding_has_by_hand() -> None:
    saliency = torch.tensor([[4.0, 3.0, 3.0], [2.9, 1.0, 0.0]])
    for tolerance, kept in ((0.0, [{0, 1}, {0, 2}]), (0.2, [{0, 1}, {0, 2}, {0, 3}])):
        masks = masks_but_for_rounding(saliency, 2, tolerance)
        assert [set(mask.flatten().nonzero().flatten().tolist()) for mask in masks] == kept
    assert [int(mask.sum()) for mask in masks_but_for_rounding(saliency, 6, 0.2)] == [5]  # what is 0 is never taken
    assert [int(mask.sum()) for mask in masks_but_for_rounding(saliency / 100, 1, 0.05)] == [1] * 5 + [0]
    assert [int(mask.sum()) for mask in masks_but_for_rounding(0 * saliency, 1, 0.05)] == [0]


def test_ties_at_the_cut_are_filled_in_raster_order() -> None:
    saliency = torch.tensor([[1.0, 1.0, 1.0], [2.0, 1.0, 0.0]])
    assert top_fraction_mask(saliency, 0.5).int().tolist() == [[1, 1, 0], [1, 0, 0]]


def test_zeros_are_never_taken() -> None:
    saliency = torch.zeros(10, 10)
    saliency[3, 4] = 1.0
    assert top_fraction_mask(saliency, 0.5).nonzero().tolist() == [[3, 4]]


def test_maps_of_a_batch_do_not_disturb_each_other() -> None:
    maps = torch.rand(2, 3, 8, 6, generator=torch.Generator().manual_seed(0))
    maps[0, 1] = 0
    maps[1, 2, 0, 0] = float("nan")
    masks = top_fraction_mask(maps, 0.25)
    assert masks.sum((-2, -1)).tolist() == [[12, 0, 12], [12, 12, 0]]
    for i in range(2):
        for j in range(3):
            assert torch.equal(masks[i, j], top_fraction_mask(maps[i, j], 0.25))


@pytest.mark.parametrize(
    ("values", "degenerate"),
    [
        ([0.0, 0.0, 0.0, 0.0], True),
        ([-1.0, -2.0, 0.0, -1.0], True),
        ([3.0, 3.0, 3.0, 3.0], True),
        ([1.0, 1.0 + 1e-7, 1.0, 1.0], True),
        ([0.0, float("nan"), 1.0, 0.0], True),
        ([0.0, float("inf"), 1.0, 0.0], True),
        ([0.0, float("-inf"), 1.0, 0.0], True),
        ([0.0, 0.0, 0.0, 1e-30], False),
        ([1.0, 1.0, 1.0, 1.001], False),
        ([-1.0, 0.0, 0.0, 1.0], False),
    ],
)
def test_degenerate_maps_are_known_and_have_no_top_pixels(values: list[float], degenerate: bool) -> None:
    saliency = torch.tensor(values).view(2, 2)
    assert is_degenerate(saliency).item() is degenerate
    assert top_fraction_mask(saliency, 1.0).any().item() is not degenerate


def test_a_constant_map_stays_degenerate_when_upsampled() -> None:
    constant = torch.full((1, 1, 3, 3), 0.1234567)
    assert is_degenerate(torch.nn.functional.interpolate(constant, size=(31, 17), mode="bilinear")).all()


@pytest.mark.parametrize(("fraction", "budget"), [(0.29, 29), (0.05, 5), (0.57, 57), (1.0, 100), (0.059, 5)])
def test_the_budget_is_the_floor_of_the_exact_product(fraction: float, budget: int) -> None:
    assert pixel_budget(10, 10, fraction) == budget


@pytest.mark.parametrize("fraction", [0.0, -0.1, 1.01, 0.009, float("nan"), float("inf")])
def test_an_impossible_fraction_is_refused(fraction: float) -> None:
    with pytest.raises(DataError, match="of 10x10 came"):
        pixel_budget(10, 10, fraction)
