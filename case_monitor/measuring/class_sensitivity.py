"""Class sensitivity (RQ1): do the maps for the top-1 and the top-2 class point at different pixels?"""

import torch
from torch import Tensor

from case_monitor.domain.protocol import TOP_FRACTION
from case_monitor.measuring.top_pixels import is_degenerate, top_fraction_mask


def agreement(first: Tensor, second: Tensor, fraction: float = TOP_FRACTION) -> Tensor:
    """Overlap of the top pixels of two maps: |T1 n T2| / min(|T1|, |T2|) (method, "Class sensitivity").

    Args:
        first, second: (..., H, W) saliency maps of the same images for two classes.
        fraction: share of the pixels that counts as the top.

    Returns:
        (...) float64 in [0, 1]; NaN where either map is degenerate.

    Example:
        >>> a = torch.zeros(10, 10); a[0, :5] = torch.arange(1., 6.)
        >>> b = torch.zeros(10, 10); b[0, 3:8] = torch.arange(1., 6.)
        >>> agreement(a, b).item()
        0.4
    """
    t1, t2 = top_fraction_mask(first, fraction), top_fraction_mask(second, fraction)
    smaller = torch.minimum(t1.sum((-2, -1)), t2.sum((-2, -1))).double()
    shared = (t1 & t2).sum((-2, -1)).double()
    undefined = is_degenerate(first) | is_degenerate(second)
    return torch.where(undefined, torch.full_like(shared, float("nan")), shared / smaller.clamp(min=1))
