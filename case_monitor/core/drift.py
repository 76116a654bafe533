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


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """Images as a version wants them, and the class to explain in its own order of classes."""

    images: Tensor
    classes: Tensor


def map_agreement(
    candidate: Explained, baseline: Explained, ours: Shown, theirs: Shown, protocol: Protocol
) -> dict[str, FloatArray]:
    """Overlap of the top pixels of both versions' maps of a batch, at the size of the candidate's images.

    Args:
        candidate, baseline: the versions; their layers may differ in size.
        ours, theirs: (B, C, H, W) the same parts of the same images as each version wants them, which may differ in
            size too, and (B,) their class as each counts it.
        protocol: which methods.

    Returns:
        method -> (B,) agreement in [0, 1]; NaN where either map is degenerate.
    """
    methods = drift_methods(protocol)
    size = ours.images.shape[-2:]
    first, second = (_maps(v, s, size, methods, protocol) for v, s in ((candidate, ours), (baseline, theirs)))
    return {method: agreement(first[method], second[method]).cpu().numpy() for method in methods}


def _maps(
    version: Explained, shown: Shown, size: Sequence[int], methods: Sequence[str], protocol: Protocol
) -> dict[str, Tensor]:
    """Maps (B, H, W) of that size, by method."""
    maps = saliency_maps(
        version.model,
        shown.images,
        shown.classes.unsqueeze(1),
        target_layer=version.layer,
        methods=methods,
        contrast_sets=version.contrast,
        contrast_k=protocol.contrast_k,
        size="layer",
        output_key=protocol.output_key,
        batch_size=len(shown.images),
    )
    return {method: resize_maps(m, size)[:, 0] for method, m in maps.items()}
