"""Agreement of two maps: by hand, by its laws, and without the defects of the paper's code (method, defects 1 to 4)."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch import Tensor

from case_monitor.judging.distributions import histogram
from case_monitor.measuring.class_sensitivity import agreement
from case_monitor.measuring.top_pixels import is_degenerate, top_fraction_mask
from tests.support.profiles import examples

MAPS = arrays(np.float32, (6, 7), elements=st.sampled_from([0.0, 0.0, 0.1, 0.5, 0.5, 1.0]))


@examples(150)
@given(first=MAPS, second=MAPS, fraction=st.sampled_from([0.05, 0.2, 0.6]))
def test_agreement_is_symmetric_and_in_the_unit_interval_or_undefined(
    first: np.ndarray, second: np.ndarray, fraction: float
) -> None:
    a, b = torch.from_numpy(first), torch.from_numpy(second)
    value = agreement(a, b, fraction)
    torch.testing.assert_close(value, agreement(b, a, fraction), equal_nan=True, rtol=0, atol=0)
    if is_degenerate(a) or is_degenerate(b):
        assert value.isnan()
    else:
        assert 0 <= value <= 1


@examples(50)
@given(saliency=MAPS)
def test_a_map_agrees_with_itself_whatever_its_scale(saliency: np.ndarray) -> None:
    a = torch.from_numpy(saliency)
    value = agreement(a, 7 * a)
    assert value.isnan() if is_degenerate(a) else value == 1


@examples(50)
@given(first=MAPS, second=MAPS)
def test_disjoint_maps_do_not_agree(first: np.ndarray, second: np.ndarray) -> None:
    a, b = torch.from_numpy(first), torch.from_numpy(second)
    a[:, 3:], b[:, :3] = 0, 0
    value = agreement(a, b, 0.6)
    assert value.isnan() if is_degenerate(a) or is_degenerate(b) else value == 0


@examples(150)
@given(first=MAPS, second=MAPS, noisy=MAPS, fraction=st.sampled_from([0.05, 0.2, 0.6]))
def test_k_exchanged_pixels_move_it_by_k_of_the_smaller_set_at_most(
    first: np.ndarray, second: np.ndarray, noisy: np.ndarray, fraction: float
) -> None:
    a, b, c = (torch.from_numpy(m) for m in (first, second, noisy))
    before, after, other = (top_fraction_mask(m, fraction) for m in (a, c, b))
    if before.sum() == after.sum() > 0 and other.any():
        exchanged = int((before & ~after).sum())
        moved = abs(agreement(a, b, fraction) - agreement(c, b, fraction))
        assert moved <= exchanged / min(int(before.sum()), int(other.sum())) + 1e-12


def sparse(*places: tuple[int, int]) -> Tensor:
    saliency = torch.zeros(20, 20)
    for rank, place in enumerate(places):
        saliency[place] = 1.0 + rank
    return saliency


def test_empty_maps_do_not_agree_but_are_undefined() -> None:
    assert agreement(sparse(), sparse()).isnan()
    assert agreement(sparse((0, 0)), sparse()).isnan()


def test_disjoint_sparse_maps_do_not_agree_through_ties_at_zero() -> None:
    assert agreement(sparse((0, 0), (1, 1)), sparse((5, 5), (6, 6))) == 0


def test_rows_are_not_taken_for_columns() -> None:
    assert agreement(sparse((2, 9)), sparse((9, 2))) == 0
    assert agreement(sparse((2, 9)), sparse((2, 9))) == 1


def test_the_smaller_set_is_the_denominator() -> None:
    assert agreement(sparse((0, 0)), sparse((0, 0), (1, 1), (2, 2))) == 1
    assert agreement(sparse((0, 0), (3, 3)), sparse((0, 0), (1, 1), (2, 2))) == 0.5


def test_two_random_maps_agree_as_often_as_chance_says() -> None:
    maps = torch.rand(2000, 2, 20, 20, generator=torch.Generator().manual_seed(0))
    values = agreement(maps[:, 0], maps[:, 1])
    assert values.mean().item() == pytest.approx(0.05, abs=4 * values.std().item() / 2000**0.5)


@pytest.mark.parametrize("k", range(21))
def test_an_edge_of_the_histogram_belongs_to_the_bin_above(k: int) -> None:
    for edge in (k / 20, k * 0.05, np.float64(k) / 20):
        counts = histogram(np.array([edge]))
        assert counts.argmax() == min(k, 19)
        assert counts.sum() == 1


def test_edges_that_binary_fractions_miss_belong_to_the_bin_above_too() -> None:
    assert [int(histogram(np.array([k / 100]), bins=100).argmax()) for k in range(100)] == list(range(100))


def test_the_histogram_leaves_undefined_scores_out() -> None:
    assert histogram(np.array([0.0, 0.049, 0.05, np.nan, 1.0]))[[0, 1, 19]].tolist() == [0.5, 0.25, 0.25]
    assert histogram(np.array([np.nan])).tolist() == [0.0] * 20
    assert histogram(np.array([0.1, 0.6]), bins=2).tolist() == [0.5, 0.5]
