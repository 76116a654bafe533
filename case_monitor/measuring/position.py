"""Position: do a model's maps point at one place of the picture, whatever the picture shows?"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from case_monitor.domain.arrays import UNDEFINED, FloatArray, IntArray
from case_monitor.domain.scores import CLASS_POSITION, POSITION
from case_monitor.measuring.top_pixels import top_fraction_mask
from case_monitor.saliency import resize_maps

Places = npt.NDArray[np.uint8]
"""(n, ceil(H W / 8)) the top pixels of n maps, a bit each."""


MOST_FREQUENT = 0.1
"""Share of an image's pixels."""


def places_of(maps: Tensor, size: Sequence[int], fraction: float) -> Places:
    """The top pixels of maps (B, 1, h, w) at the size of the images."""
    masks = top_fraction_mask(resize_maps(maps, size)[:, 0], fraction)
    return np.packbits(masks.flatten(1).cpu().numpy(), axis=1)


def positions(places: Places, target: IntArray) -> dict[str, FloatArray]:
    """How alike the places T of images are: |T_i n T_j| / sqrt(|T_i| |T_j|), as a mean over the other images j.

    The mean over the images is then that over all pairs.

    Args:
        places: (n, ...) of every image.
        target: (n,) their classes.

    Returns:
        `position` over all others, and `class_position` over those of the same class: (n,) in [0, 1]; NaN where a map
        is degenerate, or there is no other image.
    """
    alike = np.full(len(places), UNDEFINED)
    if not len(places):
        return {POSITION: alike, CLASS_POSITION: alike.copy()}
    sums = {u: _unit(places[target == u]).sum(0) for u in np.unique(target).tolist()}
    everywhere = np.sum([*sums.values()], axis=0)
    within = alike.copy()
    some = np.unpackbits(places, axis=1).any(1)
    for u, of_class in sums.items():
        members = np.flatnonzero((target == u) & some)
        units = _unit(places[members])
        alike[members] = _to_others(units @ everywhere, int(some.sum()))
        within[members] = _to_others(units @ of_class, len(members))
    return {POSITION: alike, CLASS_POSITION: within}


def most_frequent(places: Places, target: IntArray) -> dict[int, IntArray]:
    """Class -> the tenth of the pixels that lie in most of its images' places, in order; of equals the first.

    Args:
        places: (n, ...) of every image.
        target: (n,) their classes.
    """
    found = {}
    for u in np.unique(target).tolist():
        frequency = np.unpackbits(places[target == u], axis=1).sum(0, dtype=np.int64)
        order = np.argsort(-frequency, kind="stable")[: round(MOST_FREQUENT * len(frequency))]
        found[u] = np.sort(order[frequency[order] > 0])
    return found


def _unit(places: Places) -> FloatArray:
    """(n, P) of length 1; 0 where a map is degenerate."""
    bits = np.unpackbits(places, axis=1).astype(np.float64)
    unit: FloatArray = bits / np.sqrt(bits.sum(1, keepdims=True).clip(min=1))
    return unit


def _to_others(to_all: FloatArray, images: int) -> FloatArray:
    """(n,) mean likeness to all but itself, from the sum over all."""
    return ((to_all - 1) / (images - 1)).clip(0, 1) if images > 1 else np.full(len(to_all), UNDEFINED)
