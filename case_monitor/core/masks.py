"""Which pixels a saliency map points at, and whether it points at all."""

import math

import torch
from torch import Tensor

from case_monitor.core.errors import DataError

# Bilinear interpolation of a constant map leaves rounding noise of this relative size.
_CONSTANT_TOLERANCE = 1e-6


def is_degenerate(maps: Tensor) -> Tensor:
    """Whether each map has no positive pixel, is constant, or is not finite.

    Args:
        maps: (..., H, W) saliency maps.

    Returns:
        (...) bool.

    Example:
        >>> is_degenerate(torch.tensor([[[0., 0.]], [[2., 2.]], [[0., 1.]], [[float("nan"), 1.]]])).tolist()
        [True, True, False, True]
    """
    flat = maps.flatten(-2)
    low, high = flat.amin(-1), flat.amax(-1)
    constant = high - low <= _CONSTANT_TOLERANCE * high.abs()
    return ~torch.isfinite(flat).all(-1) | (high <= 0) | constant


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


def top_fraction_mask(maps: Tensor, fraction: float) -> Tensor:
    """The floor(fraction * H * W) highest pixels among the strictly positive ones.

    Ties at the cut are filled in raster order, so that the result is deterministic; pixels that are zero are
    never taken, so that two empty maps cannot agree.

    Args:
        maps: (..., H, W) saliency maps.
        fraction: share of the pixels, in (0, 1].

    Returns:
        (..., H, W) bool; fewer pixels than asked for where fewer are positive, none where the map is degenerate.

    Example:
        >>> top_fraction_mask(torch.tensor([[3., 2., 2., 0.]]), 0.5).tolist()
        [[True, True, False, False]]
    """
    height, width = maps.shape[-2:]
    count = pixel_budget(height, width, fraction)
    flat = maps.flatten(-2)
    usable = (flat > 0) & ~is_degenerate(maps).unsqueeze(-1)
    flat = torch.where(usable, flat, torch.zeros_like(flat))
    cut = flat.topk(count, dim=-1).values[..., -1:]
    above = flat > cut
    ties = (flat == cut) & usable
    missing = count - above.sum(-1, keepdim=True)
    return ((above & usable) | (ties & (ties.cumsum(-1) <= missing))).view_as(maps)
