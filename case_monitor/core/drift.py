"""Explanation drift: do two versions of a model point at the same pixels of an image, for the same class?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from case_monitor.core.protocol import Protocol
from case_monitor.core.records import FloatArray
from case_monitor.core.saliency import GRADIENT_METHODS, resize_maps, saliency_maps
from case_monitor.core.sensitivity import agreement


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explained:
    """A version with what its maps depend on."""

    model: nn.Module
    layer: str
    contrast: Mapping[int, Mapping[int, float]]


def drift_methods(protocol: Protocol) -> tuple[str, ...]:
    """The methods that are compared: those whose maps cost one forward pass."""
    return tuple(method for method in protocol.methods if method in GRADIENT_METHODS)


def map_agreement(
    candidate: Explained, baseline: Explained, images: Tensor, classes: Tensor, protocol: Protocol
) -> dict[str, FloatArray]:
    """Overlap of the top pixels of both versions' maps of a batch.

    Args:
        candidate, baseline: the versions; their layers may differ in size.
        images: (B, C, H, W).
        classes: (B,) the class to explain.
        protocol: which methods.

    Returns:
        method -> (B,) agreement in [0, 1]; NaN where either map is degenerate.
    """
    methods = drift_methods(protocol)
    first, second = (_maps(v, images, classes.unsqueeze(1), methods, protocol) for v in (candidate, baseline))
    return {method: agreement(first[method], second[method]).cpu().numpy() for method in methods}


def _maps(
    version: Explained, images: Tensor, classes: Tensor, methods: Sequence[str], protocol: Protocol
) -> dict[str, Tensor]:
    """Maps (B, H, W) at the input size, by method."""
    maps = saliency_maps(
        version.model,
        images,
        classes,
        target_layer=version.layer,
        methods=methods,
        contrast_sets=version.contrast,
        contrast_k=protocol.contrast_k,
        size="layer",
        output_key=protocol.output_key,
        batch_size=len(images),
    )
    return {method: resize_maps(m, images.shape[-2:])[:, 0] for method, m in maps.items()}
