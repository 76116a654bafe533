"""The scores of the ground truth benchmark by hand, and its networks and tables on a network that knows nothing."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks import ground_truth
from benchmarks.ground_truth_networks import CASCADE, METHODS, ORACLE, RANDOM, Effort, Subject, controls, drawn_anew
from benchmarks.ground_truth_scores import (
    Estimate,
    estimate,
    rank_correlation,
    regions,
    shares,
    times_chance,
    upsampled,
)
from benchmarks.ground_truth_tables import TITLES, verdict
from benchmarks.planted import SIDE, Planted, planted_images
from benchmarks.planted_models import NETWORKS, untrained
from case_monitor.domain.confusion_matrix import ConfusionMatrix


def a_map(*pixels: tuple[int, int]) -> Tensor:
    """(1, 10, 10): five of its pixels make the top 5%; the first named is the highest."""
    saliency = torch.zeros(1, 10, 10)
    for rank, (row, column) in enumerate(pixels):
        saliency[0, row, column] = 9.0 - rank
    return saliency


def a_mask(rows: slice, columns: slice) -> Tensor:
    mask = torch.zeros(1, 10, 10, dtype=torch.bool)
    mask[0, rows, columns] = True
    return mask


def test_shares_by_hand() -> None:
    mask = a_mask(slice(0, 2), slice(0, 5))
    saliency = a_map((0, 0), (1, 4), (2, 0), (0, 5), (1, 1), (0, 1))  # the sixth is not in the top 5%
    share = shares(saliency, mask)
    assert share.tolist() == [0.6]
    assert times_chance(share, mask) == pytest.approx([6.0])  # the mask is a tenth of the image


def test_a_map_with_fewer_positive_pixels_is_judged_by_those() -> None:
    assert shares(a_map((0, 0), (9, 9)), a_mask(slice(0, 1), slice(0, 1))).tolist() == [0.5]


def test_empty_maps_and_empty_masks_are_undefined() -> None:
    mask, nothing = a_mask(slice(0, 1), slice(0, 1)), a_mask(slice(0, 0), slice(0, 0))
    assert np.isnan(shares(torch.zeros(1, 10, 10), mask)).all()
    assert np.isnan(shares(torch.ones(1, 10, 10), mask)).all()
    assert np.isnan(times_chance(shares(a_map((0, 0)), nothing), nothing)).all()


def test_near_is_within_reach_of_one_part_and_not_of_both() -> None:
    data = planted_images(1, seed=0)
    unique, shared = torch.zeros(1, SIDE, SIDE, dtype=torch.bool), torch.zeros(1, SIDE, SIDE, dtype=torch.bool)
    unique[0, 10, 10], shared[0, 10, 13] = True, True
    masks = regions(dataclasses.replace(data, unique=unique, shared=shared), reach=2)
    assert torch.equal(masks["unique"], unique)
    assert masks["near unique"].sum() == masks["near shared"].sum() == 5 * 5 - 2 * 5
    assert masks["near unique"][0, 8:13, 8:11].all()
    assert masks["near shared"][0, 8:13, 13:16].all()


def test_rank_correlation_by_hand() -> None:
    first = torch.tensor([[[0.0, 1.0, 2.0, 3.0]]])
    assert rank_correlation(first, first**2) == pytest.approx([1])
    assert rank_correlation(first, -first + 3) == pytest.approx([-1])
    # Ranks 1.5 1.5 3 4 against 1 2 3 4: covariance 4.5, variances 4.5 and 5.
    tied = torch.tensor([[[0.0, 0.0, 1.0, 5.0]]])
    assert rank_correlation(tied, first) == pytest.approx([4.5 / (4.5 * 5) ** 0.5])
    assert np.isnan(rank_correlation(first, torch.zeros(1, 1, 4))).all()


def test_an_estimate_averages_seeds_within_images_and_counts_what_is_undefined() -> None:
    scores = np.array([[1.0, 3.0, np.nan, np.nan], [3.0, 3.0, 9.0, np.nan]])
    asked = np.array([[True, True, True, True], [True, True, False, True]])
    found = estimate(scores, asked)
    assert found.mean == 2.5  # of 2 and 3; the third image is asked for one seed only, and undefined there
    assert (found.seed_low, found.seed_high, found.n) == (2, 3, 2)
    assert found.undefined == 3 / 7
    assert found.low <= found.mean <= found.high
    nothing = estimate(np.full((1, 2), np.nan), np.ones((1, 2), dtype=bool))
    assert np.isnan(nothing.mean)
    assert (nothing.n, nothing.undefined) == (0, 1)


def test_the_oracle_finds_the_unique_glyph_and_the_random_map_does_not() -> None:
    data = planted_images(200, seed=3, dropped=0)
    maps = {name: upsampled(m, SIDE) for name, m in controls(data, seed=0).items()}
    times = {name: times_chance(shares(m, data.unique), data.unique).mean() for name, m in maps.items()}
    assert times[RANDOM] == pytest.approx(1, abs=0.35)
    assert times[ORACLE] > 12


def an_estimate(low: float, high: float) -> Estimate:
    mean = (low + high) / 2
    return Estimate(mean=mean, low=low, high=high, seed_low=mean, seed_high=mean, n=9, undefined=0.0)


def test_maps_differ_when_they_are_alike_less_than_half_and_less_than_those_of_another_trained_network() -> None:
    low, high, across = an_estimate(0.1, 0.2), an_estimate(0.6, 0.7), an_estimate(0.45, 0.55)
    less, not_less = an_estimate(0.1, 0.2), an_estimate(-0.1, 0.2)
    assert verdict({"head": low, "everything": low}, {"head": less, "everything": less}) == "yes"
    assert verdict({"head": low}, {}) == "yes"  # one seed: nothing to compare with
    assert verdict({"head": low}, {"head": not_less}) == "**not** after head"
    assert verdict({"head": high, "everything": across, "last": low}, {}) == "**not** after head; everything"


def a_subject(network: str, data: Planted) -> Subject:
    return Subject(
        network=network,
        seed=0,
        model=untrained(network, 0).eval(),
        confmat=ConfusionMatrix(counts=np.eye(12, dtype=np.int64), soft=np.eye(12)),
        contrast={},
        correct=torch.ones(len(data.images), dtype=torch.bool),
        hidden={},
    )


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("step", CASCADE)
def test_drawing_anew_changes_every_weight_of_a_step_and_no_other(network: str, step: str) -> None:
    data = planted_images(20, seed=4)
    subject = a_subject(network, data)
    before = {name: value.clone() for name, value in subject.model.state_dict().items()}
    model = drawn_anew(subject, CASCADE[step], data.images)
    assert not any(module.training for module in model.modules())
    for name, value in model.state_dict().items():
        chosen = any(name.startswith(f"{part}.") for part in CASCADE[step])
        # A batch norm's own weights start at 1 and 0; that of an untrained network does not change.
        if chosen and "weight" in name and value.ndim > 1:
            assert not torch.equal(value, before[name]), name
        if not chosen:
            assert torch.equal(value, before[name]), name
    for name, value in subject.model.state_dict().items():
        assert torch.equal(value, before[name]), name


def test_batch_norms_drawn_anew_know_the_images() -> None:
    data = planted_images(50, seed=5)
    model = drawn_anew(a_subject("plain CNN", data), CASCADE["everything"], data.images)
    outputs: list[Tensor] = []
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.register_forward_hook(lambda _module, _inputs, output: outputs.append(output))
    with torch.no_grad():
        model(data.images)
    assert len(outputs) == 3
    for output in outputs:
        assert output.mean((0, 2, 3)).abs().max() < 0.05
        assert (output.std((0, 2, 3)) - 1).abs().max() < 0.1


def test_the_whole_program_on_a_network_that_hardly_learned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    tiny = Effort(seeds=1, train_images=96, epochs=1, validation_images=24, images=12)
    monkeypatch.setattr(ground_truth, "_QUICK", tiny)
    monkeypatch.setattr(ground_truth, "NETWORKS", ("shared attention",))
    assert ground_truth.main(["--quick", "--markdown", "--figure", str(tmp_path / "maps.png")]) == 0
    assert (tmp_path / "maps.png").stat().st_size > 1000
    printed = capsys.readouterr().out
    for method in (*METHODS, RANDOM):
        assert printed.count(f"| {TITLES[method]} |") == 4  # two tables of places, two of randomisation
    assert printed.count(f"| {TITLES[ORACLE]} |") == 2
