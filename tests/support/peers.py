"""pytorch-grad-cam as an oracle: its maps at the layer's own resolution, not scaled, and how ours compare with them."""

from typing import Any
from unittest import mock

import numpy as np
import torch
from pytorch_grad_cam import AblationCAM, GradCAM, GradCAMPlusPlus, HiResCAM, LayerCAM, ScoreCAM, base_cam
from pytorch_grad_cam.ablation_layer import AblationLayerVit
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from case_monitor.saliency import saliency_maps

GRADIENT = {"gradcam": GradCAM, "gradcam++": GradCAMPlusPlus, "layercam": LayerCAM, "hirescam": HiResCAM}
PERTURBATION = {"scorecam": ScoreCAM, "ablationcam": AblationCAM}
PEERS = GRADIENT | PERTURBATION
TOLERANCE = 1e-4
VISIBLE = 10 * TOLERANCE


class Zeroing(AblationLayerVit):
    """Writes 0 whatever the layer's minimum is, as the paper and we do; all else is pytorch-grad-cam's."""

    def __init__(self, channel_dim: int = 1) -> None:
        super().__init__()
        self.channel_dim = channel_dim

    def __call__(self, _: Tensor) -> Tensor:
        rows: Tensor = self.activations
        rows.movedim(self.channel_dim, 1)[torch.arange(len(rows)), self.indices[: len(rows)]] = 0
        return rows


def our_maps(method: str, model: nn.Module, layer: str, images: Tensor, targets: Tensor) -> np.ndarray:
    """(B, T, h, w), of all targets (B, T) in one call."""
    return saliency_maps(model, images, targets, target_layer=layer, methods=(method,), size="layer")[method].numpy()


def their_maps(
    method: str, model: nn.Module, layer: str, images: Tensor, targets: Tensor, **options: Any
) -> np.ndarray:
    """(B, T, h, w), by one call for each of the T columns of the targets (B, T)."""
    maps = []
    for classes in targets.T.tolist():
        cam = PEERS[method](model, [model.get_submodule(layer)], **options)
        leaf = images.clone().requires_grad_(method in GRADIENT)  # there are gradients also with frozen parameters
        with mock.patch.object(base_cam, "scale_cam_image", lambda maps, _size=None: maps):
            maps.append(cam.forward(leaf, [ClassifierOutputTarget(u) for u in classes]))
    return np.stack(maps, 1)


def their_activations(model: nn.Module, layer: str, images: Tensor) -> Tensor:
    """(B, ...) what they take for the layer's output."""
    cam = GradCAM(model, [model.get_submodule(layer)])
    cam.activations_and_grads(images)
    found: Tensor = cam.activations_and_grads.activations[0]
    return found


def distance(maps: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(...) for maps (..., h, w): the largest difference, relative to the reference's maximum where that is not 0."""
    return np.abs(maps - reference).max((-2, -1)) / _high(reference)[..., 0, 0]


def distance_of_shapes(maps: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """(...) the same, after scaling both to the same maximum."""
    return distance(maps / _high(maps), reference / _high(reference))


def _high(maps: np.ndarray) -> np.ndarray:
    high = maps.max((-2, -1), keepdims=True)
    return np.where(high > 0, high, 1)


def assert_lively(maps: np.ndarray) -> None:
    """Maps (B, T, h, w) that a comparison means something for: those of one image are neither constant nor alike.

    So neither the wrong class nor equal weights for all channels, which give all classes the same map, go unseen.
    """
    low, high = maps.min((-2, -1)), maps.max((-2, -1))
    lively = (high - low > VISIBLE * high).any(1)
    if maps.shape[1] > 1:
        lively &= distance_of_shapes(maps[:, 1], maps[:, 0]) > VISIBLE
    assert lively.any(), "the comparison would be vacuous"


def assert_same_maps(
    method: str, model: nn.Module, layer: str, images: Tensor, targets: Tensor, **options: Any
) -> None:
    """Not scaled, so a wrong factor is seen too; options are those of their class."""
    theirs = their_maps(method, model, layer, images, targets, **options)
    assert_lively(theirs)
    apart = distance(our_maps(method, model, layer, images, targets), theirs)
    assert apart.max() <= TOLERANCE, f"maps (image, target) are apart by these parts of their maximum: {apart}"
