"""In which order a map names the pixels."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from case_monitor.domain.arrays import IntArray


def ranks(maps: Tensor, level: IntArray) -> Tensor:
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


def level_order(seeds: IntArray, seed: int, size: Sequence[int]) -> IntArray:
    """(B, H * W) in which order an image's pixels of the same value come: at random, the same whatever the batch."""
    pixels = math.prod(size)
    return np.stack([np.random.default_rng([seed, int(of_image), 0]).permutation(pixels) for of_image in seeds])
