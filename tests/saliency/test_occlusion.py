"""Occlusion against its docstring's formula, worked out window by window."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor, nn

from case_monitor.saliency import CENTRED, OWN_PAIR, saliency_maps
from tests.support.toys import PooledLinear, a_cnn, some_images


def found(model: nn.Module, images: Tensor, targets: Tensor, layer: str) -> dict[str, np.ndarray]:
    maps = saliency_maps(
        model, images, targets, target_layer=layer, methods=("occlusion",), size="layer", centred="occlusion"
    )
    return {name: m.numpy() for name, m in maps.items()}


def window_of(pixel: int, side: int, windows: int) -> int:
    """The window whose share of the side holds the pixel's first edge."""
    return int(pixel / side * windows)


@torch.no_grad()
def slow_falls(model: nn.Module, image: Tensor, rows: int, columns: int) -> np.ndarray:
    """(rows, columns, num_classes) how far each logit falls without a window, pixel by pixel."""
    channels, height, width = image.shape
    falls = []
    for i in range(rows):
        for j in range(columns):
            hidden = image.clone()
            for y in range(height):
                for x in range(width):
                    if (window_of(y, height, rows), window_of(x, width, columns)) == (i, j):
                        for c in range(channels):
                            hidden[c, y, x] = image[c].min()
            falls.append(model(image[None])[0] - model(hidden[None])[0])
    return torch.stack(falls).view(rows, columns, -1).numpy()


def test_by_hand() -> None:
    """s_0 = 2 mean(a) - mean(b) = 0; without the first pixel it is -2, without the second 1; s_1 is always 0."""
    a, b = torch.tensor([[1.0, -1.0]]), torch.tensor([[-1.0, 1.0]])
    model = PooledLinear(torch.tensor([[2.0, -1.0], [0.0, 0.0]]))
    maps = found(model, torch.stack([a, b])[None], torch.tensor([[0, 1]]), "layer")
    first, second = 0, 1
    assert maps["occlusion"].shape == (1, 2, 1, 2)
    assert_allclose(maps["occlusion"][0, 0, :, first], 2.0)
    assert_array_equal(maps["occlusion"][0, 0, :, second], 0)
    assert_array_equal(maps["occlusion"][0, 1], 0)
    assert_allclose(maps[CENTRED][0, 0, :, first], 1.0)  # the mean of all logits falls by half of it
    assert_array_equal(maps[CENTRED][0, 0, :, second], 0)
    assert_array_equal(maps[CENTRED][0, 1, :, first], 0)
    assert_allclose(maps[CENTRED][0, 1, :, second], 0.5)
    assert_allclose(maps[OWN_PAIR][0, 0, 0], [2.0, -1.0])


def test_windows_are_never_hidden_with_what_the_tests_put_in_the_place_of_pixels() -> None:
    """Of images in [0, 1] the darkest value is the tests' 0: the mean is taken, channel by channel."""
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[-1.0, 1.0]])
    model = PooledLinear(torch.tensor([[2.0, -1.0], [0.0, 0.0]]))
    maps = found(model, torch.stack([a, b])[None], torch.tensor([[0, 1]]), "layer")
    # s_0 = 1 - 0; first: a = [0.5, 0], b stays: 0.5; second: a = [1, 0.5], b = [-1, -1]: 1.5 + 1
    assert_allclose(maps[OWN_PAIR][0, 0, 0], [0.5, -1.5])


def test_of_one_class_there_is_no_pair() -> None:
    maps = found(a_cnn(1), some_images(1), torch.tensor([[2]]), "relu")
    assert set(maps) == {"occlusion", CENTRED}


def test_a_map_of_either_sign_keeps_it_where_maps_are_scaled() -> None:
    model, images, targets = a_cnn(1), some_images(1), torch.tensor([[0, 3]])
    scaled = saliency_maps(
        model, images, targets, target_layer="relu", methods=("occlusion",), centred="occlusion", min_max=True
    )
    assert (scaled["occlusion"].amin(), scaled["occlusion"].amax()) == (0, 1)
    assert_array_equal(scaled[OWN_PAIR].numpy(), found(model, images, targets, "relu")[OWN_PAIR])
    assert scaled[OWN_PAIR].min() < 0 < scaled[OWN_PAIR].max()


def test_a_long_image_has_64_windows_along_it_at_most() -> None:
    model = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    maps = found(model, torch.randn(1, 1, 1, 1400), torch.tensor([[0, 1]]), "1")
    assert maps["occlusion"].shape == (1, 2, 1, 1400)
    assert np.unique(maps[OWN_PAIR]).size == 64


class InPlace(nn.Module):
    """Changes its input, as a normalisation in place does."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images.mul_(0.5).sub_(0.3))


class Copied(InPlace):
    """The same without changing it."""

    def forward(self, images: Tensor) -> Tensor:
        return self.model(images * 0.5 - 0.3)


@pytest.mark.parametrize("methods", [("occlusion",), ("scorecam",), ("scorecam", "occlusion")])
def test_a_model_that_changes_its_input_is_explained_as_one_that_does_not(methods: tuple[str, ...]) -> None:
    targets = torch.tensor([[0, 3], [4, 1]])
    one, other = (
        saliency_maps(kind(a_cnn(1)), some_images(2), targets, target_layer="model.relu", methods=methods)
        for kind in (InPlace, Copied)
    )
    for method in methods:
        assert_allclose(one[method], other[method], atol=1e-5)


@pytest.mark.parametrize(("sides", "windows"), [((12, 16), (8, 11)), ((8, 8), (8, 8)), ((3, 16), (3, 16))])
def test_it_equals_its_formula_also_where_windows_do_not_divide_the_image(
    sides: tuple[int, int], windows: tuple[int, int]
) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    torch.manual_seed(3)
    model = nn.Sequential(*model, nn.Linear(16, 5)).eval()
    images = torch.randn(2, 3, *sides, generator=torch.Generator().manual_seed(1))
    targets = torch.tensor([[0, 3], [4, 1]])
    maps = found(model, images, targets, "1")
    for i, image in enumerate(images):
        falls = slow_falls(model, image, *windows)
        u, v = targets[i].tolist()
        height, width = sides
        rows = [window_of(y, height, windows[0]) for y in range(height)]
        columns = [window_of(x, width, windows[1]) for x in range(width)]
        falls = falls[rows][:, columns]
        mean = falls.mean(-1)
        for t, c in enumerate((u, v)):
            assert_allclose(maps["occlusion"][i, t], np.maximum(falls[..., c], 0), atol=1e-5)
            assert_allclose(maps[CENTRED][i, t], np.maximum(falls[..., c] - mean, 0), atol=1e-5)
        assert_allclose(maps[OWN_PAIR][i, 0], falls[..., u] - falls[..., v], atol=1e-5)


def test_what_all_logits_share_changes_neither_the_centred_maps_nor_the_pair() -> None:
    model, images, targets = a_cnn(1), some_images(2), torch.tensor([[0, 3], [4, 1]])
    before = found(model, images, targets, "relu")
    with torch.no_grad():
        model.head.weight += torch.randn(model.head.weight.shape[1])
    after = found(model, images, targets, "relu")
    assert not np.allclose(before["occlusion"], after["occlusion"], atol=1e-3)
    assert_allclose(before[CENTRED], after[CENTRED], atol=1e-5)
    assert_allclose(before[OWN_PAIR], after[OWN_PAIR], atol=1e-5)


def test_classes_in_the_other_order_turn_the_pair_round() -> None:
    model, images, targets = a_cnn(1), some_images(2), torch.tensor([[0, 3], [4, 1]])
    one, other = (found(model, images, order, "relu") for order in (targets, targets.flip(1)))
    assert_allclose(one[OWN_PAIR], -other[OWN_PAIR], atol=1e-5)
    assert_array_equal(one["occlusion"], other["occlusion"][:, ::-1])


def test_an_image_is_explained_the_same_alone_and_in_a_batch() -> None:
    model, images, targets = a_cnn(1), some_images(3), torch.tensor([[0, 3], [4, 1], [2, 2]])
    together = found(model, images, targets, "relu")
    for i in range(3):
        alone = found(model, images[i : i + 1], targets[i : i + 1], "relu")
        for name, maps in alone.items():
            assert_allclose(maps[0], together[name][i], atol=1e-5)


def test_of_an_even_image_and_of_a_model_that_looks_at_nothing_it_is_zero() -> None:
    model, targets = a_cnn(1), torch.tensor([[0, 3]])
    assert_array_equal(found(model, torch.full((1, 3, 12, 16), 0.7), targets, "relu")["occlusion"], 0)
    with torch.no_grad():
        model.head.weight.zero_()
    assert_array_equal(found(model, some_images(1), targets, "relu")["occlusion"], 0)
