"""Saliency maps laid over images, the same in figures and on pages."""

import numpy as np
import numpy.typing as npt

from case_monitor.domain.arrays import FloatArray

HEAT = "inferno"

Image = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]


def masked(image: Image, mask: Mask) -> Image:
    """`image` in colour inside the mask, as a pale grey ghost outside."""
    pale = 255 - (255 - _grey(image)) * 0.38
    shown: Image = np.where(mask[..., None], image, pale[..., None]).astype(np.uint8)
    return shown


def heated(image: Image, saliency_map: FloatArray) -> Image:
    """The heat map over a grey image; the map covers more where it is higher."""
    level = np.clip(saliency_map, 0, None) / saliency_map.max()
    heat = _heat(level)
    cover = 0.35 + 0.4 * level[..., None]
    blended: Image = (cover * heat + (1 - cover) * _grey(image)[..., None]).astype(np.uint8)
    return blended


def _heat(level: FloatArray) -> FloatArray:
    """(..., 3) colours from 0 to 255."""
    from matplotlib import colormaps  # here, so that the service starts without it

    colours: FloatArray = colormaps[HEAT](level)[..., :3] * 255
    return colours


def _grey(image: Image) -> FloatArray:
    grey: FloatArray = image.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return grey
