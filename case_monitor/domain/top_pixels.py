"""Which pixels one saliency map points at, as people are shown it.

The measuring side has the same for batches of tensors (`measuring/top_pixels.py`); tests hold the two together.
"""

import math

import numpy as np
import numpy.typing as npt

from case_monitor.domain.errors import DataError
from case_monitor.domain.protocol import TOP_FRACTION

CONSTANT_TOLERANCE = 1e-6
"""Bilinear interpolation of a constant map leaves rounding noise of this relative size."""

Map = npt.NDArray[np.floating]


def pixel_budget(height: int, width: int, fraction: float) -> int:
    """floor(fraction * H * W), exact where binary fractions are not (0.29 * 100 is 29).

    Raises:
        DataError: the image is so small that the fraction is less than one pixel.
    """
    count = math.floor(fraction * height * width + 1e-9) if 0 < fraction <= 1 else 0
    if count < 1:
        msg = f"a fraction in (0, 1] of at least one pixel was expected, {fraction:g} of {height}x{width} came"
        raise DataError(msg)
    return count


def is_degenerate(saliency_map: Map) -> bool:
    """Whether a map (H, W) has no positive pixel, is constant, or is not finite.

    Example:
        >>> [is_degenerate(np.array(m)) for m in ([[0.0, 0.0]], [[2.0, 2.0]], [[0.0, 1.0]], [[np.nan, 1.0]])]
        [True, True, False, True]
    """
    low, high = float(saliency_map.min()), float(saliency_map.max())
    finite = math.isfinite(low) and math.isfinite(high)  # NaN goes through both
    return not finite or high <= 0 or high - low <= CONSTANT_TOLERANCE * abs(high)


def top_pixels(saliency_map: Map, fraction: float = TOP_FRACTION) -> npt.NDArray[np.bool_]:
    """(H, W) bool, the floor(fraction * H * W) highest of the positive pixels; none where the map is degenerate.

    Ties at the cut are filled in raster order.

    Example:
        >>> top_pixels(np.array([[3.0, 2.0, 2.0, 0.0]]), 0.5).tolist()
        [[True, True, False, False]]
    """
    height, width = saliency_map.shape
    count = pixel_budget(height, width, fraction)
    mask = np.zeros(saliency_map.size, dtype=np.bool_)
    if not is_degenerate(saliency_map):
        flat = saliency_map.ravel()
        mask[np.argsort(-flat, kind="stable")[:count]] = True
        mask &= flat > 0
    return mask.reshape(saliency_map.shape)
