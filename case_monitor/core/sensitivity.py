"""Class sensitivity (RQ1): do the maps for the top-1 and the top-2 class point at different pixels?"""

import numpy as np
import torch
from torch import Tensor

from case_monitor.core.masks import is_degenerate, top_fraction_mask
from case_monitor.core.records import FloatArray

TOP_FRACTION = 0.05


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


def histogram(scores: FloatArray, bins: int = 20) -> FloatArray:
    """Relative frequency of agreement in `bins` equal bins over [0, 1]; the last bin includes 1; NaN is left out.

    Example:
        >>> histogram(np.array([0.0, 0.04, 1.0, np.nan]))[[0, -1]].round(2).tolist()
        [0.67, 0.33]
    """
    defined = scores[np.isfinite(scores)]
    # Rounded before the floor: 0.29 is the lower edge of one of 100 bins, and 0.29 * 100 is a little less than 29.
    places = np.floor((defined * bins).round(9)).astype(np.int64)
    return np.bincount(np.minimum(places, bins - 1), minlength=bins) / max(len(defined), 1)
