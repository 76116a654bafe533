"""Does a map point at the object that people have marked?

It asks whether model and people look at the same place, and not whether the map is faithful: a model may well know a
class by its surroundings.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.measuring.diagnostics.order import ranks
from case_monitor.measuring.fidelity import finite
from case_monitor.measuring.top_pixels import is_degenerate


def localisation(maps: Mapping[str, Tensor], objects: Tensor, level: IntArray) -> dict[tuple[str, str], FloatArray]:
    """The pointing game (Zhang et al. 2018, arXiv 1608.00507), and the overlap with the object.

    Args:
        maps: method -> (B, H, W).
        objects: (B, H, W) bool.
        level: (B, H * W) in which order pixels of the same value come.

    Returns:
        (method, "pointing_game") -> (B,) 1 where the highest pixel is the object's, else 0; (method, "object_iou") ->
        (B,) |T n O| / |T u O|, T as many of the highest positive pixels as the object O has. NaN where the map is
        degenerate, or no object is in view.
    """
    found = {}
    sizes = objects.sum((1, 2))
    for method, of in maps.items():
        order = ranks(of, level)
        highest = (order < sizes.view(-1, 1, 1)) & (of > 0)
        shared, either = (highest & objects).sum((1, 2)), (highest | objects).sum((1, 2))
        hit = ((order == 0) & objects).any(2).any(1)
        undefined = is_degenerate(of) | (sizes == 0)
        for name, value in (("pointing_game", hit.double()), ("object_iou", shared.double() / either.clamp(min=1))):
            found[method, name] = finite(torch.where(undefined, torch.nan, value))
    return found
