"""Score-CAM and Ablation-CAM against their docstrings' formulas, worked out one channel at a time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from numpy.testing import assert_allclose
from torch import Tensor, nn

from case_monitor.saliency import saliency_maps
from tests.support.toys import PooledLinear, a_cnn, some_images


def layer_maps(model: nn.Module, images: Tensor, targets: Tensor, layer: str, method: str) -> np.ndarray:
    return saliency_maps(model, images, targets, target_layer=layer, methods=(method,), size="layer")[method].numpy()


def head(model: nn.Module, activations: Tensor) -> Tensor:
    return model.head(model.pool(model.relu(activations)).flatten(1))


@torch.no_grad()
def slow_ablation(model: nn.Module, images: Tensor, targets: Tensor) -> np.ndarray:
    out = []
    for image, classes in zip(images, targets.tolist(), strict=True):
        activations = model.features(image[None])
        for u in classes:
            score = head(model, activations)[0, u]
            total = torch.zeros(activations.shape[-2:])
            for k in range(activations.shape[1]):
                ablated = activations.clone()
                ablated[0, k] = 0
                total += (score - head(model, ablated)[0, u]) / score.abs() * activations[0, k]
            out.append(total.clamp(min=0))
    return torch.stack(out).view(*targets.shape, *out[0].shape).numpy()


def test_ablation_cam_writes_zero_also_where_the_layer_can_be_negative() -> None:
    model, images = a_cnn(2), some_images(2)
    targets = model(images).argsort(1)[:, [-1, 0]]
    logits = model(images).gather(1, targets)
    assert (model.features(images) < 0).any()
    assert (logits > 0).any()
    assert (logits < 0).any()
    ours = layer_maps(model, images, targets, "features", "ablationcam")
    assert (ours.max((2, 3)) > 0).all()
    assert_allclose(ours, slow_ablation(model, images, targets), rtol=1e-4, atol=1e-6)


def test_ablation_cam_by_hand() -> None:
    """s = (2 a - b) averaged; without a it falls by 2 mean(a), without b it rises by mean(b)."""
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.5]])
    model = PooledLinear(torch.tensor([[2.0, -1.0], [0.0, 0.0]]))
    score = 2 * 0.5 - 0.25
    expected = torch.relu((2 * 0.5 * a - 0.25 * b) / score)
    ours = layer_maps(model, torch.stack([a, b])[None], torch.tensor([[0]]), "layer", "ablationcam")
    assert_allclose(ours[0, 0], expected, rtol=1e-6)


def test_ablation_cam_of_a_logit_that_is_zero_is_finite_and_ranks_the_same() -> None:
    a, b = torch.tensor([[20.0, 0.0]]), torch.tensor([[0.0, 20.0]])
    model = PooledLinear(torch.tensor([[1.0, -1.0], [0.0, 0.0]]))
    assert model(torch.stack([a, b])[None])[0, 0] == 0
    ours = layer_maps(model, torch.stack([a, b])[None], torch.tensor([[0]]), "layer", "ablationcam")
    assert np.isfinite(ours).all()
    assert ours[0, 0, 0, 0] > 0
    assert ours[0, 0, 0, 1] == 0


@torch.no_grad()
def slow_score_cam(model: nn.Module, images: Tensor, targets: Tensor) -> np.ndarray:
    out = []
    for image, classes in zip(images, targets.tolist(), strict=True):
        activations = model.relu(model.features(image[None]))[0]
        for u in classes:
            scores = []
            for channel in activations:
                up = F.interpolate(channel[None, None], image.shape[-2:], mode="bilinear", align_corners=True)[0]
                mask = (up - up.min()) / (up.max() - up.min() + 1e-8)
                scores.append(model((image * mask)[None])[0, u])
            weights = torch.stack(scores).softmax(0)
            out.append((weights[:, None, None] * activations).sum(0).clamp(min=0))
    return torch.stack(out).view(*targets.shape, *out[0].shape).numpy()


@pytest.mark.parametrize("dead", [(), (0, 3), tuple(range(8))])
def test_score_cam_equals_its_formula_also_with_dead_channels(dead: tuple[int, ...]) -> None:
    model, images = a_cnn(1), some_images(2)
    with torch.no_grad():
        model.features[4].weight[list(dead)] = 0
        model.features[4].bias[list(dead)] = -1
    targets = torch.tensor([[0, 3], [4, 1]])
    ours = layer_maps(model, images, targets, "relu", "scorecam")
    assert_allclose(ours, slow_score_cam(model, images, targets), rtol=1e-4, atol=1e-6)
    assert (ours.max() > 0) == (len(dead) < 8)


@pytest.mark.parametrize("method", ["scorecam", "ablationcam"])
def test_an_image_is_explained_the_same_alone_and_in_a_batch(method: str) -> None:
    model, images = a_cnn(1), some_images(3)
    targets = torch.tensor([[0, 3], [4, 1], [2, 2]])
    together = layer_maps(model, images, targets, "relu", method)
    assert (together.max((2, 3)) > 0).all()
    for i in range(3):
        alone = layer_maps(model, images[i : i + 1], targets[i : i + 1], "relu", method)[0]
        size = alone.max((1, 2), keepdims=True)  # a logit near 0 makes the scale, and only it, uncertain
        assert_allclose(together[i] / size, alone / size, atol=2e-3 if method == "ablationcam" else 1e-5)
