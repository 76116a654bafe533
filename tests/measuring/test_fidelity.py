"""Fidelity on a model whose confidence depends on known pixels."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from scipy.ndimage import gaussian_filter
from torch import Tensor

from case_monitor.domain.errors import ConfigError
from case_monitor.measuring.fidelity import ShownMap, confidence_drops, random_maps
from case_monitor.measuring.masked_passes import fill_image

EVIDENCE = (2, 9)  # (row, col) of the one pixel that matters, in images of 6 x 12: col is no legal row


def one_pixel_model(images: Tensor) -> Tensor:
    """p(class 0) = sigmoid(value of the pixel)."""
    value = images[:, 0, EVIDENCE[0], EVIDENCE[1]]
    return torch.stack([value, torch.zeros_like(value)], 1)


def pointing_at(*places: tuple[int, int]) -> Tensor:
    saliency = torch.zeros(1, 6, 12)
    for rank, (row, col) in enumerate(places):
        saliency[0, row, col] = len(places) - rank + 1.0
    return saliency


def ramp() -> Tensor:
    """A control whose highest pixels come first in raster order."""
    return torch.arange(72.0, 0, -1).view(1, 6, 12)


def drops(
    maps: dict[str, Tensor],
    *,
    model: Callable[[Tensor], Tensor] = one_pixel_model,
    images: Tensor | None = None,
    control: Tensor | None = None,
    area: float = 0.5,
    fill: str = "mean",
    batch_size: int = 8,
) -> dict[tuple[str, str], np.ndarray]:
    images = torch.full((1, 1, 6, 12), 2.0) if images is None else images
    return confidence_drops(
        model,
        images,
        torch.tensor([[0, 1]]).expand(len(images), -1),
        maps,
        ramp().expand(len(images), -1, -1) if control is None else control,
        ShownMap(method=next(iter(maps)), maps=next(iter(maps.values()))),
        areas=(area,),
        fills=(fill,),
        batch_size=batch_size,
    ).values


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_drop_by_hand() -> None:
    found = drops({"right": pointing_at(EVIDENCE), "wrong": pointing_at((0, 0))})
    assert_allclose(found["right", "confidence_drop_50"], [sigmoid(2) - sigmoid(0)], rtol=1e-6)
    assert found["wrong", "confidence_drop_50"] == [0.0]


def test_the_drop_is_signed() -> None:
    found = drops({"m": pointing_at(EVIDENCE)}, images=torch.full((1, 1, 6, 12), -2.0))
    assert_allclose(found["m", "confidence_drop_50"], [sigmoid(-2) - sigmoid(0)], rtol=1e-6)


def test_rows_are_not_taken_for_columns_on_images_that_are_not_square() -> None:
    """Defect 1 of the paper's code: the transposed place of a map's top pixel is another one, or none at all."""
    square = torch.full((1, 1, 6, 12), 2.0)
    for row in range(6):
        for col in range(12):
            drop = drops({"m": pointing_at((row, col))}, images=square)["m", "confidence_drop_50"][0]
            assert (drop > 0.1) == ((row, col) == EVIDENCE)


def test_every_channel_of_a_removed_pixel_is_replaced() -> None:
    def all_channels(images: Tensor) -> Tensor:
        return torch.stack([images[:, :, 2, 9].sum(1), torch.zeros(len(images))], 1)

    found = drops({"m": pointing_at(EVIDENCE)}, model=all_channels, images=torch.ones(1, 3, 6, 12))
    assert_allclose(found["m", "confidence_drop_50"], [sigmoid(3) - sigmoid(0)], rtol=1e-6)


def test_the_area_limits_how_many_pixels_are_replaced() -> None:
    """5% of 72 pixels are 3: the evidence is replaced in third place, not in fourth."""
    third = pointing_at((0, 0), (0, 1), EVIDENCE, (5, 5))
    fourth = pointing_at((0, 0), (0, 1), (5, 5), EVIDENCE)
    found = drops({"third": third, "fourth": fourth}, area=0.05)
    assert found["third", "confidence_drop_5"] > 0.1
    assert found["fourth", "confidence_drop_5"] == 0
    assert drops({"fourth": fourth})["fourth", "confidence_drop_50"] > 0.1


def counting_model(images: Tensor) -> Tensor:
    """Each of the 72 pixels, all 1, counts the same: the drop says how many were replaced."""
    return torch.stack([images.sum((1, 2, 3)) / 72, torch.zeros(len(images))], 1)


def replaced(drop: float) -> float:
    p = sigmoid(1) - drop
    return 72 * (1 - math.log(p / (1 - p)))


def test_images_with_the_same_map_are_masked_each_for_itself() -> None:
    """One pixel of 72 is replaced; what is left differs from image to image."""
    images = torch.tensor([2.0, -1.0]).view(2, 1, 1, 1).expand(2, 1, 6, 12)
    found = drops({"m": pointing_at(EVIDENCE).expand(2, 6, 12)}, model=counting_model, images=images)
    expected = [sigmoid(value) - sigmoid(value * 71 / 72) for value in (2, -1)]
    assert_allclose(found["m", "confidence_drop_50"], expected, atol=1e-7)


def test_the_control_replaces_as_many_pixels_as_the_map_in_every_image() -> None:
    maps = torch.cat([pointing_at(EVIDENCE), pointing_at((0, 0), (1, 1), (2, 2), (3, 3)), torch.rand(1, 6, 12) + 0.1])
    control = random_maps(["a", "b", "c"], (3, 4), (6, 12), seed=0)[:, 0]
    found = drops({"m": maps}, model=counting_model, images=torch.ones(3, 1, 6, 12), control=control, area=0.25)
    for kind, expected in (("confidence_drop_25", [1, 4, 18]), ("random_drop_25", [1, 4, 18])):
        assert_allclose([replaced(d) for d in found["m", kind]], expected, atol=1e-3)


def test_the_control_takes_its_own_highest_pixels() -> None:
    values = torch.zeros(1, 6, 12)
    values[0, 2, 9] = 1.0
    found = drops({"m": pointing_at((0, 0), (0, 1))}, control=values)
    assert found["m", "random_drop_50"] > 0.1
    assert found["m", "confidence_drop_50"] == 0
    assert drops({"m": pointing_at((0, 0), (0, 1))}, control=1 - values)["m", "random_drop_50"] == 0


def test_a_degenerate_map_has_no_drop_and_neither_has_its_control() -> None:
    flat, nan = torch.ones(1, 6, 12), torch.full((1, 6, 12), float("nan"))
    found = drops({"empty": torch.zeros(1, 6, 12), "flat": flat, "nan": nan, "good": pointing_at(EVIDENCE)})
    for method in ("empty", "flat", "nan"):
        assert np.isnan([found[method, "confidence_drop_50"], found[method, "random_drop_50"]]).all()
    assert np.isfinite([found["good", "confidence_drop_50"], found["good", "random_drop_50"]]).all()


@pytest.mark.parametrize("batch_size", [1, 2, 5, 100])
def test_the_batch_size_changes_nothing(batch_size: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, 1, 6, 12, generator=generator)
    maps = {name: torch.rand(4, 6, 12, generator=generator) for name in "ab"}
    maps["b"][2] = 0
    weight = torch.randn(72, 3, generator=generator)
    results = [
        confidence_drops(
            lambda x: x.flatten(1) @ weight,
            images,
            torch.tensor([[0, 1], [1, 2], [2, 0], [0, 2]]),
            maps,
            maps["a"].flip(1),
            ShownMap(method="b", maps=maps["b"]),
            areas=(0.5, 0.05),
            fills=("mean", "blur"),
            batch_size=size,
        ).values
        for size in (batch_size, 3)
    ]
    assert len(results[0]) == 2 * 2 * 2 * 2
    for key, values in results[0].items():
        assert_allclose(values, results[1][key], atol=1e-6)
    p = (images.flatten(1) @ weight).double().softmax(1)
    kept = images.masked_fill(maps["a"].unsqueeze(1) >= maps["a"].flatten(1).sort(1).values[:, 36].view(-1, 1, 1, 1), 0)
    after = (kept.flatten(1) @ weight).double().softmax(1)
    expected = [(p - after)[i, u].item() for i, u in enumerate([0, 1, 2, 0])]
    assert_allclose(results[0]["a", "confidence_drop_50"], expected, atol=1e-6)


def test_blur_is_a_gaussian_with_reflected_borders() -> None:
    images = torch.randn(2, 3, 90, 60, generator=torch.Generator().manual_seed(0))
    sigma = 5 * 60 / 224
    expected = gaussian_filter(images.numpy(), sigma, axes=(2, 3), mode="mirror", radius=math.ceil(3 * sigma))
    assert_allclose(fill_image(images, "blur"), expected, atol=1e-5)


def test_blur_keeps_a_constant_and_works_on_tiny_images() -> None:
    for side in (1, 2, 3, 8):
        assert_allclose(fill_image(torch.full((1, 1, side, side), 0.7), "blur"), 0.7, rtol=1e-5)


def test_blur_is_what_replaces_removed_pixels() -> None:
    images = torch.zeros(1, 1, 6, 12)
    images[0, 0, 2, 9] = 4.0
    blurred = fill_image(images, "blur")[0, 0, 2, 9].item()
    assert 0.1 < blurred < 2
    drop = drops({"m": pointing_at(EVIDENCE)}, images=images, fill="blur")["m", "confidence_drop_50_blur"]
    assert_allclose(drop, [sigmoid(4) - sigmoid(blurred)], rtol=1e-5)


def test_mean_is_zero_in_normalised_space() -> None:
    assert (fill_image(torch.randn(1, 3, 4, 4), "mean") == 0).all()


def test_an_unknown_fill_is_refused() -> None:
    with pytest.raises(ConfigError, match="'noise' came"):
        fill_image(torch.zeros(1, 1, 2, 2), "noise")


def test_random_maps_depend_on_the_name_and_the_seed_alone() -> None:
    names = ["a", "b", "c"]
    together = random_maps(names, (3, 4), (6, 12), seed=1)
    assert together.shape == (3, 2, 6, 12)
    for i, name in enumerate(names):
        assert torch.equal(random_maps([name], (3, 4), (6, 12), seed=1)[0], together[i])
    different = [together[0, 0], together[0, 1], together[1, 0], random_maps(["a"], (3, 4), (6, 12), seed=2)[0, 0]]
    assert len({tuple(m.flatten().tolist()) for m in different}) == 4


def test_random_maps_are_uniform_noise_at_the_layers_resolution() -> None:
    names = [str(i) for i in range(400)]
    noise = random_maps(names, (5, 5), (5, 5), seed=0)
    assert noise.mean().item() == pytest.approx(0.5, abs=0.01)
    assert noise.var().item() == pytest.approx(1 / 12, abs=0.003)
    assert abs(np.corrcoef(noise[:, 0].flatten(), noise[:, 1].flatten())[0, 1]) < 0.05
