"""Images that show several classes: none of these is what one of them is told from."""

import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor, nn

from case_monitor.domain.errors import ConfigError
from case_monitor.saliency import METHODS, saliency_maps
from tests.support.toys import a_cnn, some_images

SETS = {0: {1: 0.5, 2: 0.3, 3: 0.2}, 4: {3: 0.7, 0: 0.3}}
CLASSES = torch.tensor([[0, 4], [0, 4], [4, 0]])
EXCLUDED = torch.zeros(3, 5, dtype=torch.bool)
EXCLUDED[0, 2] = EXCLUDED[1, 1] = EXCLUDED[1, 3] = EXCLUDED[2, 3] = True
BY_HAND = (
    {0: {1: 0.5, 3: 0.2}, 4: {3: 0.7, 0: 0.3}},
    {0: {2: 0.3}, 4: {0: 0.3}},
    {0: {1: 0.5, 2: 0.3}, 4: {0: 0.3}},
)
"""What is left of the sets of each image."""


def maps_of(model: nn.Module, images: Tensor, classes: Tensor, method: str, **more: object) -> Tensor:
    return saliency_maps(
        model, images, classes, target_layer="features", methods=(method,), size="layer", contrast_k=2, **more
    )[method]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("batch_size", [None, 2])
def test_maps_are_those_of_sets_without_the_classes(method: str, batch_size: int | None) -> None:
    model, images = a_cnn(3), some_images(3)
    found = maps_of(model, images, CLASSES, method, contrast_sets=SETS, excluded=EXCLUDED, batch_size=batch_size)
    for i, sets in enumerate(BY_HAND):
        alone = maps_of(model, images[i : i + 1], CLASSES[i : i + 1], method, contrast_sets=sets)
        assert_allclose(found[i], alone[0], rtol=1e-4, atol=1e-6)
    plain = maps_of(model, images, CLASSES, method, contrast_sets=SETS)
    contrasts = method.startswith("case") or method == "finercam"
    assert (not torch.allclose(found, plain, rtol=1e-3)) is contrasts


@pytest.mark.parametrize("sets", [None, {0: {2: 1.0}}])
def test_where_no_class_is_left_the_next_ones_are_taken(sets: dict[int, dict[int, float]] | None) -> None:
    """By the highest logits, of classes that the image does not show."""
    model, images = a_cnn(3), some_images(1)
    excluded = torch.zeros(1, 5, dtype=torch.bool)
    excluded[0, 2] = True
    with torch.no_grad():
        order = [u for u in model(images)[0].argsort(descending=True).tolist() if u not in {0, 2}][:2]
    target = torch.tensor([[0]])
    found = maps_of(model, images, target, "case", contrast_sets=sets, excluded=excluded)
    assert_allclose(found, maps_of(model, images, target, "case", contrast_sets={0: order}), rtol=1e-5)


def test_an_empty_set_stays_empty() -> None:
    """As where only classes count that were confused, and none was."""
    model, images = a_cnn(3), some_images(1)
    excluded = torch.tensor([[False, True, False, False, False]])
    target = torch.tensor([[0]])
    found = maps_of(model, images, target, "case", contrast_sets={0: []}, excluded=excluded)
    assert_allclose(found, maps_of(model, images, target, "gradcam"), rtol=1e-5)


@pytest.mark.parametrize(
    ("excluded", "problem"),
    [
        (EXCLUDED.tolist(), r"a tensor \(3, num_classes\) of True and False, a row for each image, was expected, list"),
        (EXCLUDED.long(), r"\(3, 5\) of int64 came"),
        (EXCLUDED[:2], r"\(2, 5\) of bool came"),
        (EXCLUDED[:, :0], r"\(3, 0\) of bool came"),
        (EXCLUDED[:, :4], "excluded: 5 columns, one for each class, were expected, 4 came"),
        (EXCLUDED | (torch.arange(5) == 4), "excluded: none of the targets was expected, class 4 of image 0 came"),
    ],
)
def test_other_arguments_are_an_error(excluded: object, problem: str) -> None:
    classes = CLASSES[:, :1] * 0 if isinstance(excluded, Tensor) and excluded.shape[1] == 4 else CLASSES
    with pytest.raises(ConfigError, match=problem):
        maps_of(a_cnn(3), some_images(3), classes, "case", excluded=excluded)
