"""In which order a map names the pixels."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def ranks(maps: Tensor, level: npt.NDArray[np.integer]) -> Tensor:
    """The place of every pixel among all, the highest value first.

    A map of a network has thousands of pixels at zero: which of them comes first is chance, and no corner's privilege.

    Args:
        maps: (B, H, W).
        level: (B, H * W) a permutation for each image; of pixels of the same value, the lower number comes first.

    Returns:
        (B, H, W) int64, from 0.

    Example:
        >>> ranks(torch.tensor([[[0., 5.], [0., 7.]]]), np.array([[1, 2, 0, 3]])).tolist()
        [[[3, 1], [2, 0]]]
    """
    flat = maps.flatten(1).cpu().numpy()
    order = np.lexsort((level, -flat), axis=-1)
    places = np.empty_like(order)
    np.put_along_axis(places, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), axis=1)
    return torch.from_numpy(places).view(maps.shape).to(maps.device)
