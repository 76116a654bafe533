"""The other libraries, used as their documentation says, with their defaults; and the paper's procedure.

Each is given the whole batch where it takes one. What they return is at the layer's resolution for torchcam and captum
and at the input's for pytorch-grad-cam; nothing is added to make them equal.
"""

import contextlib
import io
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from pytorch_grad_cam import AblationCAM, GradCAM, GradCAMPlusPlus, LayerCAM, ScoreCAM
from pytorch_grad_cam.activations_and_gradients import ActivationsAndGradients
from pytorch_grad_cam.base_cam import BaseCAM
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import Tensor, nn

from benchmarks.models import Subject
from benchmarks.timing import seconds

PG_GRADIENT: dict[str, type[BaseCAM]] = {"gradcam": GradCAM, "gradcam++": GradCAMPlusPlus, "layercam": LayerCAM}
PG_CHANNELWISE: dict[str, type[BaseCAM]] = {"ablationcam": AblationCAM, "scorecam": ScoreCAM}


def pg_maps(cam_class: type[BaseCAM], subject: Subject, images: Tensor, classes: Sequence[Sequence[int]]) -> None:
    """pytorch-grad-cam: one call per class, as it takes one target per image; `classes` has a row per class."""
    with cam_class(subject.model, [subject.layer]) as cam, _silence():
        for row in classes:
            cam(images, [ClassifierOutputTarget(u) for u in row])


def pg_sliced(cam_class: type[BaseCAM], subject: Subject, part: int) -> float:
    """Seconds for both maps of an image, from those for `part` channels of one map: each channel costs the same."""
    image = subject.images[:1]
    targets = [ClassifierOutputTarget(int(subject.targets[0, 0]))]
    with cam_class(subject.model, [subject.layer]) as cam, _silence():
        own_forward = seconds(lambda: cam.activations_and_grads(image))
        (activations,) = (a.numpy()[:, :part] for a in cam.activations_and_grads.activations)
        cam.activations_and_grads.clear()
        weights = seconds(lambda: cam.get_cam_weights(image, subject.layer, targets, activations, None))
        # Ablation-CAM begins with a forward pass of the unchanged image, which is not to be scaled.
        once = seconds(plain_forward(subject.model, image)) if cam_class is AblationCAM else 0.0
    return 2 * (own_forward + once + (weights - once) * subject.channels / part)


def captum_gradcam(subject: Subject) -> None:
    """captum's Grad-CAM: one call per class."""
    from captum.attr import LayerGradCam  # not everybody who compares with the others has it

    explainer = LayerGradCam(subject.model, subject.layer)
    for column in subject.targets.T:
        explainer.attribute(subject.images, target=column, relu_attributions=True)


def paper_case(subject: Subject, image: Tensor, contrast: Mapping[int, Sequence[int]]) -> None:
    """CASE as the paper does it: for u and for each class in V(u), a forward and a backward pass of the whole network.

    Args:
        subject: whose network is explained.
        image: (1, C, H, W); input and parameters require gradients.
        contrast: class to explain -> V(u).
    """
    recorder = ActivationsAndGradients(subject.model, [subject.layer], None)
    image = image.clone().requires_grad_()
    try:
        for u, rivals in contrast.items():
            g_u, activations = _pooled_gradient(recorder, image, u)
            g_bar = torch.stack([_pooled_gradient(recorder, image, v)[0] for v in rivals]).mean(0)
            residual = g_u - g_u @ g_bar / (g_bar @ g_bar + 1e-8 * g_u @ g_u) * g_bar
            cam = torch.einsum("k,khw->hw", residual, activations).relu()
            scale_cam_image(cam[None].cpu().numpy(), (image.shape[-1], image.shape[-2]))
    finally:
        recorder.release()


def _pooled_gradient(recorder: ActivationsAndGradients, image: Tensor, class_idx: int) -> tuple[Tensor, Tensor]:
    """(K,) spatial mean of the gradient of a logit at the layer, and (K, h, w) the layer's output."""
    logits = recorder(image)
    one_hot = torch.zeros_like(logits)
    one_hot[0, class_idx] = 1
    recorder.model.zero_grad()
    logits.backward(one_hot)
    return recorder.gradients[0][0].mean((1, 2)), recorder.activations[0][0]


@torch.no_grad()
def scores_one_by_one(
    subject: Subject, maps: Mapping[str, Tensor], control: Tensor, areas: Sequence[float], fraction: float
) -> None:
    """Agreement and confidence drops, method by method, each with its own forward passes.

    Args:
        subject: whose network and images.
        maps: method -> (B, 2, H, W).
        control: (B, 2, H, W) random maps.
        areas: fractions of the pixels to replace by 0, for the first class.
        fraction: of the pixels that agreement is taken over.
    """
    for m in maps.values():
        top = [_top(m[:, t], fraction) for t in range(2)]
        np.array([len(np.intersect1d(a, b)) / len(a) for a, b in zip(*top, strict=True)])
        before = _confidence(subject, subject.images)
        for area in areas:
            for ranking in (m[:, 0], control[:, 0]):
                masked = subject.images.clone()
                for image, pixels in zip(masked, _top(ranking, area), strict=True):
                    image.flatten(1)[:, torch.from_numpy(pixels)] = 0
                before - _confidence(subject, masked)


def _top(maps: Tensor, fraction: float) -> list[np.ndarray]:
    flat = maps.flatten(1).numpy()
    return [np.argsort(m)[::-1][: int(fraction * m.size)].copy() for m in flat]


def _confidence(subject: Subject, images: Tensor) -> Tensor:
    logits: Tensor = subject.model(images)
    return logits.softmax(1).gather(1, subject.targets[:, :1])


def plain_forward(model: nn.Module, images: Tensor) -> Callable[[], object]:
    """The network as it is, without gradients."""

    @torch.no_grad()
    def forward() -> object:
        return model(images)

    return forward


def _silence() -> contextlib.AbstractContextManager[object]:
    """pytorch-grad-cam draws progress bars on stderr."""
    return contextlib.redirect_stderr(io.StringIO())
