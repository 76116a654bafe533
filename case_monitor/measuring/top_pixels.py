"""Which pixels a saliency map points at, and whether it points at all."""

import numpy as np
import torch
from torch import Tensor

from case_monitor.domain.top_pixels import CONSTANT_TOLERANCE, pixel_budget


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
    constant = high - low <= CONSTANT_TOLERANCE * high.abs()
    finite = torch.isfinite(low) & torch.isfinite(high)  # NaN goes through both
    return ~finite | (high <= 0) | constant


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
    return _from_cut(flat, usable, _highest(flat, count), torch.full_like(flat[..., :1], count)).view_as(maps)


def count_on_top(maps: Tensor, fraction: float) -> Tensor:
    """How many pixels `top_fraction_mask` takes of each map: (..., H, W) -> (...) int.

    Example:
        >>> count_on_top(torch.tensor([[[3., 2., 2., 0.]], [[3., 0., 0., 0.]], [[1., 1., 1., 1.]]]), 0.5).tolist()
        [2, 1, 0]
    """
    positive = (maps > 0).flatten(-2).sum(-1)
    height, width = maps.shape[-2:]
    most = positive.clamp(max=pixel_budget(height, width, fraction))
    return torch.where(is_degenerate(maps), torch.zeros_like(most), most)


def top_count_mask(maps: Tensor, counts: Tensor) -> Tensor:
    """The highest pixels of each map, as many as asked for; ties are filled in raster order.

    Args:
        maps: (B, H, W), of any sign.
        counts: (..., B) int, how many; several for the same map are cheap.

    Returns:
        (..., B, H, W) bool.

    Example:
        >>> top_count_mask(torch.tensor([[[3., 2., 2., 0.]]]), torch.tensor([[0], [2], [9]])).int().squeeze().tolist()
        [[0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1]]
    """
    flat, ordered = maps.flatten(-2), _sorted(maps.flatten(-2))
    size = flat.shape[-1]
    counts = counts.clamp(max=size).unsqueeze(-1)
    cut = ordered.expand(*counts.shape[:-1], size).gather(-1, (size - counts).clamp(max=size - 1))
    return torch.unflatten(_from_cut(flat, counts > 0, cut, counts), -1, maps.shape[-2:])


def _from_cut(flat: Tensor, usable: Tensor, cut: Tensor, counts: Tensor) -> Tensor:
    """(..., N) bool: above the cut, and of those at it the first ones, up to `counts` (..., 1)."""
    above, at = (flat > cut) & usable, (flat == cut) & usable
    missing = counts - above.sum(-1, keepdim=True)
    crowded = (at.sum(-1, keepdim=True) > missing).squeeze(-1)
    if crowded.any():  # rarely, and counting is slow
        at[crowded] &= at[crowded].cumsum(-1) <= missing[crowded]
    return above | at


def _highest(flat: Tensor, count: int) -> Tensor:
    """(..., 1) the `count`-th highest value."""
    place = flat.shape[-1] - count
    if flat.device.type == "cpu":  # NumPy's is an order of magnitude faster than torch's `topk` and `kthvalue`
        return torch.from_numpy(np.partition(flat.numpy(), place, axis=-1)[..., place : place + 1])
    return flat.topk(count, dim=-1, sorted=False).values.amin(-1, keepdim=True)


def _sorted(flat: Tensor) -> Tensor:
    """(..., N) in ascending order."""
    if flat.device.type == "cpu":  # as above
        return torch.from_numpy(np.sort(flat.numpy(), axis=-1))
    return flat.sort(dim=-1).values
