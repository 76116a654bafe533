"""The published methods against pytorch-grad-cam, at the layer's own resolution, on models that cost little."""

import numpy as np
import pytest
import torch
import torchvision
from numpy.testing import assert_allclose
from pytorch_grad_cam import AblationCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from tests.support.peers import GRADIENT, PEERS, PERTURBATION, assert_same_maps, our_maps
from tests.support.toys import a_cnn, some_images


def top_1(model: nn.Module, images: Tensor) -> Tensor:
    best: Tensor = model(images).argmax(1, keepdim=True)
    return best


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=10).eval()


@pytest.fixture(scope="module")
def photos() -> Tensor:
    return torch.randn(2, 3, 64, 96, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("method", PEERS)
def test_equals_pytorch_grad_cam_on_a_small_cnn(method: str, seed: int) -> None:
    model, images = a_cnn(seed), some_images(seed=seed)
    assert_same_maps(method, model, "relu", images, top_1(model, images))


@pytest.mark.parametrize("method", GRADIENT)
def test_gradient_methods_equal_pytorch_grad_cam_where_activations_are_negative(method: str) -> None:
    model, images = a_cnn(3), some_images(seed=3)
    assert_same_maps(method, model, "features.4", images, top_1(model, images))


@pytest.mark.parametrize("layer", ["layer3", "layer4"])
@pytest.mark.parametrize("method", GRADIENT)
def test_gradient_methods_equal_pytorch_grad_cam_on_resnet18(
    method: str, layer: str, resnet: nn.Module, photos: Tensor
) -> None:
    assert_same_maps(method, resnet, layer, photos, top_1(resnet, photos))


@pytest.mark.parametrize("method", PERTURBATION)
def test_perturbation_methods_equal_pytorch_grad_cam_on_resnet18(
    method: str, resnet: nn.Module, photos: Tensor
) -> None:
    image = photos[:1, :, :32, :48]
    assert_same_maps(method, resnet, "layer1", image, top_1(resnet, image))


def test_ablation_cam_is_pytorch_grad_cams_upside_down_where_the_logit_is_negative() -> None:
    """Theirs divides by the logit, ours by its absolute value: our map of s is theirs of a logit of the same size."""
    model, images = a_cnn(0), some_images(1, seed=0)
    u = int(model(images).argmin(1))
    assert model(images)[0, u] < 0
    theirs = AblationCAM(model, [model.relu]).get_cam_weights(
        images, model.relu, [ClassifierOutputTarget(u)], model.relu(model.features(images)), None
    )
    activations = model.relu(model.features(images)).detach().numpy()
    expected = np.maximum((-theirs[:, :, None, None] * activations).sum(1), 0)
    assert expected.max() > 0
    assert_allclose(
        our_maps("ablationcam", model, "relu", images, torch.tensor([[u]]))[:, 0], expected, rtol=1e-4, atol=1e-6
    )
