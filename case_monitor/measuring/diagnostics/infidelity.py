"""Infidelity: does the map foretell by how much the confidence falls without a part of the image?

Yeh et al. 2019, arXiv 1901.09392, by removal of squares, with the scale of the map that fits best.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from case_monitor.measuring.diagnostics.subject import Subject
from case_monitor.measuring.masked_passes import fill_image

SQUARES = 32
"""Of each image, the same for every method."""
SIDE = 0.25
"""Of the image's shorter side."""


def infidelity(subject: Subject) -> Mapping[tuple[str, str], Tensor]:
    """Mean of (beta a - b)^2 over squares: a the map's sum in it, b the drop without it, beta the best factor."""
    squares = torch.from_numpy(_squares(subject)).to(subject.images.device)  # (S, B, H, W)
    filled = fill_image(subject.images, subject.fill)
    drops = torch.stack(
        [subject.before - subject.confidence(torch.where(one.unsqueeze(1), filled, subject.images)) for one in squares]
    )
    return {(method, "infidelity"): _error(maps, squares, drops) for method, maps in subject.maps.items()}


def _squares(subject: Subject) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    """(S, B, H, W)."""
    height, width = subject.images.shape[-2:]
    side = max(1, round(SIDE * min(height, width)))
    masks = np.zeros((SQUARES, len(subject.images), height, width), dtype=np.bool_)
    for i in range(len(subject.images)):
        corners = subject.random(i, 2).integers(0, (height - side + 1, width - side + 1), size=(SQUARES, 2))
        for s, (y, x) in enumerate(corners.tolist()):
            masks[s, i, y : y + side, x : x + side] = True
    return masks


def _error(maps: Tensor, squares: Tensor, drops: Tensor) -> Tensor:
    """(B,) of maps (B, H, W), squares (S, B, H, W) and drops (S, B)."""
    foretold = (maps.double().unsqueeze(0) * squares).sum((-2, -1))  # (S, B)
    most = foretold.abs().amax(0)
    foretold = foretold / torch.where(most > 0, most, 1.0)  # squares of small numbers vanish
    size = (foretold**2).sum(0)
    beta = (foretold * drops).sum(0) / torch.where(size > 0, size, 1.0)
    return ((beta * foretold - drops) ** 2).mean(0)
