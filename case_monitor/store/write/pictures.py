"""Images and saliency maps as PNG, small enough for a database."""

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from case_monitor.domain.top_pixels import is_degenerate, top_pixels

LONGEST_SIDE = 256
"""What is larger is stored smaller."""

_SMOOTHLY = Image.Resampling.BILINEAR


def image_png(image: npt.NDArray[np.uint8]) -> bytes:
    """An image (H, W, 3) as it is, but for its size."""
    return _png(_capped(Image.fromarray(image), _SMOOTHLY))


def map_png(saliency_map: npt.NDArray[np.float32]) -> bytes:
    """A saliency map (H, W), mode LA: its level, from 0 to its own maximum, and where its highest pixels are.

    Grey is the level, 255 at the maximum, also where alpha is 0. Alpha is 255 in the top 5% that the agreement is of,
    which are chosen at full size. A degenerate map is all zero.
    """
    values = saliency_map.astype(np.float64)
    if is_degenerate(values):
        level = np.zeros(values.shape, dtype=np.uint8)
        return _png(Image.merge("LA", [_capped(Image.fromarray(level), _SMOOTHLY)] * 2))
    mask = top_pixels(values)
    # Each channel by itself: Pillow would mix colours by alpha, and lose the level where that is 0.
    alpha = _capped(Image.fromarray(mask.astype(np.uint8) * 255), Image.Resampling.NEAREST)
    return _png(Image.merge("LA", [_level(values), alpha]))


def _level(values: npt.NDArray[np.float64]) -> Image.Image:
    """(H, W) from 0 to 255; what is resized is the map, so that the maximum of what is stored is 255."""
    share = np.clip(values / values.max(), 0, None).astype(np.float32)
    resized = np.asarray(_capped(Image.fromarray(share), _SMOOTHLY))
    return Image.fromarray((resized / resized.max() * 255).round().astype(np.uint8))


def _capped(picture: Image.Image, resample: Image.Resampling) -> Image.Image:
    longest = max(picture.size)
    if longest <= LONGEST_SIDE:
        return picture
    width, height = (max(1, round(side * LONGEST_SIDE / longest)) for side in picture.size)
    return picture.resize((width, height), resample)


def _png(picture: Image.Image) -> bytes:
    written = io.BytesIO()
    picture.save(written, "PNG")  # optimised, they were 6% smaller after ten times as long
    return written.getvalue()
