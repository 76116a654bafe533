"""The entry point: validate once, run one forward and one backward for all methods, return the maps."""

from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from case_monitor.core.errors import ConfigError, ModelError
from case_monitor.core.saliency import gradient, perturbation
from case_monitor.core.saliency.contrast_weights import ContrastWeights
from case_monitor.core.saliency.taps import inspecting, tap_layer
from case_monitor.core.saliency.trace import Trace, record

METHODS: dict[str, Callable[[Trace], Tensor]] = {
    "case": gradient.case,
    "case_full": gradient.case_full,
    "case_soft": gradient.case_soft,
    "case_subspace": gradient.case_subspace,
    "gradcam": gradient.gradcam,
    "gradcam++": gradient.gradcam_plus_plus,
    "layercam": gradient.layercam,
    "hirescam": gradient.hirescam,
    "scorecam": perturbation.scorecam,
    "ablationcam": perturbation.ablationcam,
}
"""Name -> function from a `Trace` to maps (B, T, h, w). See each function for its paper and formula."""


def saliency_maps(
    model: nn.Module,
    images: Tensor,
    targets: Tensor,
    *,
    target_layer: nn.Module | str,
    methods: Sequence[str] = ("case",),
    contrast_sets: Mapping[int, Sequence[int] | Mapping[int, float]] | None = None,
    contrast_k: int = 3,
    size: str = "input",
) -> dict[str, Tensor]:
    """Saliency maps of every method for every target class, from one forward pass of the model.

    The model is left as it was found: parameters, buffers, grad flags, mode and hooks.

    Args:
        model: an image classifier that returns logits (B, num_classes).
        images: (B, C, H, W), preprocessed, on the model's device.
        targets: (B, T) class indices to explain.
        target_layer: a module of `model`, or its dotted name, with output (B, K, h, w).
        methods: names from `METHODS`.
        contrast_sets: class -> the classes that CASE contrasts it with, or those with weights (for `case_soft`).
            A class that is not in the mapping is contrasted, per image, with its `contrast_k` highest other logits.
        contrast_k: see `contrast_sets`.
        size: "input" for maps at (H, W), upsampled bilinearly; "layer" for (h, w).

    Returns:
        method -> (B, T, H, W) or (B, T, h, w) float32 maps, non-negative, not scaled.

    Raises:
        TargetLayerError: the layer does not exist, has no spatial output, or the logits do not depend on it.
        ConfigError: an unknown method, size or class, or a class in its own contrast set.
        ModelError: the model does not return logits.
    """
    _validate(images, targets, methods, size)
    with inspecting(model), torch.inference_mode(False):
        # Gradients end at the layer, whatever the caller wants with the images; an inference tensor cannot be saved.
        trace = record(
            tap_layer(model, target_layer),
            images.clone() if images.is_inference() else images.detach(),
            targets.to(images.device),
            lambda logits: ContrastWeights.build(logits, targets, contrast_sets, contrast_k),
        )
        maps = {method: METHODS[method](trace).float() for method in methods}
    return {method: resize_maps(m, images.shape[-2:]) if size == "input" else m for method, m in maps.items()}


def resize_maps(maps: Tensor, size: Sequence[int]) -> Tensor:
    """(B, T, h, w) -> (B, T, H, W), bilinear with half-pixel centres."""
    return F.interpolate(maps, size=tuple(size), mode="bilinear", align_corners=False)


def _validate(images: Tensor, targets: Tensor, methods: Sequence[str], size: str) -> None:
    unknown = [method for method in methods if method not in METHODS]
    if unknown:
        msg = f"methods: some of {', '.join(METHODS)} were expected, {', '.join(unknown)} came"
        raise ConfigError(msg)
    if size not in {"input", "layer"}:
        msg = f"size: 'input' or 'layer' was expected, {size!r} came"
        raise ConfigError(msg)
    if images.ndim != 4 or targets.ndim != 2 or len(images) != len(targets):
        msg = (
            "images (B, C, H, W) and targets (B, T) were expected, "
            f"{tuple(images.shape)} and {tuple(targets.shape)} came"
        )
        raise ModelError(msg)
