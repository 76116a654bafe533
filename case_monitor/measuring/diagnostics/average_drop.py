"""Average drop and increase in confidence: what the model says of the image weighed by its map.

Chattopadhay et al. 2018 (Grad-CAM++), arXiv 1710.11063.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from case_monitor.measuring.diagnostics.subject import Subject
from case_monitor.saliency import resize_maps


def average_drop(subject: Subject) -> Mapping[tuple[str, str], Tensor]:
    """max(0, p - p') / p, and whether p' > p, where p' is of the image times its map.

    The map is scaled to [0, 1] and then made as large as the image; the product is taken in normalised space, where 0
    is the data set's mean colour.
    """
    found = {}
    for method in subject.maps:
        scaled = _scaled(subject.small.get(method, subject.control))
        weights = resize_maps(scaled.unsqueeze(1), subject.images.shape[-2:])
        after = subject.confidence(subject.images * weights.to(subject.images.dtype))
        drop = (subject.before - after) / subject.before
        found[method, "average_drop"] = drop.clamp(min=0)
        found[method, "increase_in_confidence"] = torch.where(drop.isnan(), drop, (drop < 0).double())
    return found


def _scaled(maps: Tensor) -> Tensor:
    """(B, ...) from 0 to 1; a constant one is 0."""
    low, high = maps.amin((-2, -1), keepdim=True), maps.amax((-2, -1), keepdim=True)
    return (maps - low) / torch.where(high > low, high - low, 1.0)
