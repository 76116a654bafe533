"""Finer-CAM, Grad-CAM of the log-probability, Recipro-CAM: by hand, in their limits, and beside a peer."""

from unittest import mock

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytorch_grad_cam import FinerCAM, base_cam
from pytorch_grad_cam.utils.model_targets import FinerWeightedTarget
from torch import Tensor, nn

from case_monitor.saliency import TargetLayer, saliency_maps
from tests.support.toys import PooledLinear, a_cnn, some_activations, some_images

TARGETS = torch.tensor([[0, 4], [2, 1]])
WEIGHT = torch.tensor([[3.0, 1.0], [1.0, 0.0], [0.0, 2.0], [1.0, -3.0]])
IMAGE = torch.tensor([[[[1.0, 2.0], [0.0, 4.0]], [[3.0, 0.0], [1.0, 1.0]]]])


def maps_of(
    model: nn.Module, images: Tensor, targets: Tensor, method: str, layer: str = "features", **more: object
) -> Tensor:
    return saliency_maps(model, images, targets, target_layer=layer, methods=(method,), size="layer", **more)[method]


@pytest.mark.parametrize(
    ("contrast", "weights"),
    [([1], (2.0, 1.0)), ([2], (3.0, -1.0)), ([1, 2], (2.5, 0.0)), ([1, 2, 3], (7 / 3, 4 / 3)), ([], (3.0, 1.0))],
)
def test_finercam_by_hand(contrast: list[int], weights: tuple[float, float]) -> None:
    found = maps_of(PooledLinear(WEIGHT), IMAGE, torch.tensor([[0]]), "finercam", "layer", contrast_sets={0: contrast})
    expected = (torch.tensor(weights)[:, None, None] * IMAGE[0] / 4).sum(0).clamp(min=0)
    assert_allclose(found[0, 0], expected, atol=1e-6)


def test_with_one_class_to_tell_from_it_is_the_peers() -> None:
    """Of several, theirs weighs classes by their softmax and differentiates the weights: another map, by intent."""
    model, images = a_cnn(3), some_images()
    with torch.no_grad():
        order = model(images).argsort(1, descending=True)
    sets = [{int(row[0]): [int(row[1])]} for row in order]
    with mock.patch.object(base_cam, "scale_cam_image", lambda maps, _size=None: maps):
        cam = FinerCAM(model, [model.features])
        leaf = images.clone().requires_grad_()
        theirs = cam.forward(leaf, [FinerWeightedTarget(int(row[0]), [int(row[1])], 1) for row in order])
        several = cam.forward(
            images.clone().requires_grad_(), [FinerWeightedTarget(int(row[0]), row[1:3].tolist(), 1) for row in order]
        )
    for i, of in enumerate(sets):
        ours = maps_of(model, images[i : i + 1], order[i : i + 1, :1], "finercam", contrast_sets=of)
        assert_allclose(ours[0, 0], theirs[i], rtol=1e-4, atol=1e-6)
        two = {int(order[i, 0]): order[i, 1:3].tolist()}
        plain = maps_of(model, images[i : i + 1], order[i : i + 1, :1], "finercam", contrast_sets=two)
        assert not np.allclose(plain[0, 0], several[i], rtol=1e-2)
        assert_allclose(plain[0, 0], by_differentiation(model, images[i : i + 1], order[i, :3]), rtol=1e-4, atol=1e-6)


def by_differentiation(model: nn.Module, images: Tensor, classes: Tensor) -> Tensor:
    """(h, w) Grad-CAM by autograd of the first class's logit less the mean of the others'."""
    kept: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        output.retain_grad()
        kept.append(output)

    handle = model.features.register_forward_hook(keep)
    logits = model(images)[0]
    handle.remove()
    (logits[classes[0]] - logits[classes[1:]].mean()).backward()
    gradient = kept[0].grad
    assert gradient is not None
    return (gradient.mean((-2, -1), keepdim=True) * kept[0]).sum(1)[0].clamp(min=0).detach()


def test_the_log_probability_by_hand() -> None:
    """w = W[u] - sum_c p_c W[c], over the four places."""
    logits = IMAGE.mean((-2, -1)) @ WEIGHT.T
    weights = WEIGHT[0] - logits.softmax(1)[0] @ WEIGHT
    expected = (weights[:, None, None] * IMAGE[0] / 4).sum(0).clamp(min=0)
    found = maps_of(PooledLinear(WEIGHT), IMAGE, torch.tensor([[0]]), "gradcam_log", "layer")
    assert_allclose(found[0, 0], expected, atol=1e-6)


def test_the_log_probability_of_two_classes_points_where_their_difference_does() -> None:
    model, images = a_cnn(3, num_classes=2), some_images()
    targets = torch.tensor([[0], [0]])
    found = maps_of(model, images, targets, "gradcam_log")
    finer = maps_of(model, images, targets, "finercam", contrast_sets={0: [1]})
    with torch.no_grad():
        other = model(images).softmax(1)[:, 1].view(-1, 1, 1, 1)
    assert_allclose(found, other * finer, rtol=1e-4, atol=1e-8)


class Shifted(nn.Module):
    """Adds the same number, which hangs on the image, to all logits."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.features, self.model = model.features, model

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, num_classes) logits."""
        features = self.features(images)
        logits: Tensor = self.model.head(self.model.pool(self.model.relu(features)).flatten(1))
        return logits + 3 * features.mean((1, 2, 3)).unsqueeze(1)


@pytest.mark.parametrize("method", ["finercam", "gradcam_log", "reciprocam"])
def test_what_all_classes_share_changes_nothing(method: str) -> None:
    model, images = a_cnn(3), some_images()
    plain, shifted = (maps_of(of, images, TARGETS, method) for of in (model, Shifted(model)))
    assert plain.amax() > 0
    assert_allclose(shifted, plain, rtol=1e-3, atol=1e-6)
    assert not torch.allclose(
        maps_of(Shifted(model), images, TARGETS, "gradcam"), maps_of(model, images, TARGETS, "gradcam"), rtol=1e-2
    )


@pytest.mark.parametrize("batch_size", [None, 1])
def test_reciprocam_by_hand(batch_size: int | None) -> None:
    """The logits of a position alone are its channels through the head, over the number of positions."""
    weight, images = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)), some_activations(2, 3)
    alone = torch.einsum("ck,bkhw->bchw", weight, images) / images[0, 0].numel()
    probability = alone.softmax(1)
    expected = torch.stack([probability[i, TARGETS[i]] for i in range(2)])
    expected = expected - expected.amin((-2, -1), keepdim=True)
    found = maps_of(PooledLinear(weight), images, TARGETS, "reciprocam", "layer", batch_size=batch_size)
    assert expected.amax() > 0
    assert_allclose(found, expected, atol=1e-6)


class Tokens(nn.Module):
    """Tokens of the patches behind a class token, added up with weights of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Identity()
        self.head = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 4, 2, 3) -> (B, 3) logits."""
        patches = images.flatten(2).transpose(1, 2)
        tokens = self.tokens(torch.cat([patches.mean(1, keepdim=True) + 1, patches], dim=1))
        logits: Tensor = self.head(tokens[:, 0] + tokens[:, 1:].sum(1))
        return logits


def test_reciprocam_leaves_the_class_token_as_it_is() -> None:
    """By hand: the class token, and one patch."""
    torch.manual_seed(0)
    model, images = Tokens().eval(), some_activations(2, 4)[:, :, :2, :3]
    targets = torch.tensor([[0, 1], [2, 0]])
    layer = TargetLayer.parse("tokens{1+2x3}")
    found = saliency_maps(model, images, targets, target_layer=layer, methods=("reciprocam",), size="layer")
    with torch.no_grad():
        patches = images.flatten(2).transpose(1, 2)
        cls = patches.mean(1, keepdim=True) + 1
        probability = model.head(cls + patches).softmax(-1)  # (B, 6, 3)
    expected = torch.stack([probability[i, :, targets[i]].T for i in range(2)]).unflatten(-1, (2, 3))
    assert_allclose(found["reciprocam"], expected - expected.amin((-2, -1), keepdim=True), atol=1e-6)


def test_positions_that_are_all_alike_show_nothing() -> None:
    images = torch.ones(1, 3, 3, 4)
    found = maps_of(PooledLinear(torch.randn(5, 3)), images, torch.tensor([[0]]), "reciprocam", "layer")
    assert found.abs().max() == 0
