"""Explanation drift: do two versions of a model point at the same pixels of an image, for the same class?"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from case_monitor.core.predictions import ImageSource, Progress
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import FloatArray, IntArray
from case_monitor.core.saliency import GRADIENT_METHODS, resize_maps, saliency_maps
from case_monitor.core.sensitivity import agreement


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explained:
    """A version with what its maps depend on."""

    model: nn.Module
    layer: str
    contrast: Mapping[int, Mapping[int, float]]


def map_agreement(
    candidate: Explained,
    baseline: Explained,
    source: ImageSource,
    indices: Sequence[int],
    target: IntArray,
    *,
    protocol: Protocol,
    device: str,
    batch_size: int,
    progress: Progress,
) -> dict[str, FloatArray]:
    """Overlap of the top pixels of both versions' maps, for methods whose maps cost one forward pass.

    Args:
        candidate, baseline: the versions; their layers may differ in size.
        source: the images.
        indices: (n,) which of them.
        target: (n,) the class to explain.
        protocol: which methods.
        device, batch_size: where, and how many at once.
        progress: called after every batch.

    Returns:
        method -> (n,) agreement in [0, 1]; NaN where either map is degenerate.
    """
    methods = tuple(method for method in protocol.methods if method in GRADIENT_METHODS)
    found: dict[str, list[FloatArray]] = defaultdict(list)
    done = 0
    for images in source.batches(indices, batch_size) if methods and len(indices) else ():
        classes = torch.from_numpy(target[done : done + len(images), None]).to(device)
        first, second = (_maps(v, images.to(device), classes, methods, protocol) for v in (candidate, baseline))
        for method in methods:
            found[method].append(agreement(first[method], second[method]).cpu().numpy())
        done += len(images)
        progress("compare explanations", done, len(indices))
    return {method: np.concatenate(found[method]) if found[method] else np.empty(0) for method in methods}


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
