"""ROAD: pixels are removed by noisy linear imputation, which leaves less of the mask's outline to be seen.

Rong et al. 2022, arXiv 2202.00449.
"""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from scipy.sparse import csc_matrix
from scipy.sparse.linalg import spsolve
from torch import Tensor

from case_monitor.measuring.diagnostics.subject import Subject

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Of the pixels, imputed one after the other."""
NOISE = 0.01
"""SD, in the space of the model's input."""
_NEIGHBOURS = {(i, j): (1 / 6 if i * j == 0 else 1 / 12) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j}

Pixels = npt.NDArray[np.float64]


def road(subject: Subject) -> Mapping[tuple[str, str], Tensor]:
    """Half the difference in confidence between the least and the most relevant pixels imputed, mean over fractions."""
    return {(method, "road"): _of_order(subject, order) for method, order in subject.ranks.items()}


def _of_order(subject: Subject, order: Tensor) -> Tensor:
    """(B,)."""
    size = order[0].numel()
    found = []
    for fraction in FRACTIONS:
        count = round(size * fraction)
        most, least = (subject.confidence(_imputed(subject, of)) for of in (order < count, order >= size - count))
        found.append((least - most) / 2)
    return torch.stack(found).mean(0)


def _imputed(subject: Subject, removed: Tensor) -> Tensor:
    """(B, C, H, W) without the pixels (B, H, W)."""
    images, masks = subject.images.cpu().double().numpy(), removed.cpu().numpy()
    found = [
        impute(image, mask, subject.random(i, 1).normal(0, NOISE, image.shape))
        for i, (image, mask) in enumerate(zip(images, masks, strict=True))
    ]
    return torch.from_numpy(np.stack(found)).to(subject.images)


def impute(image: Pixels, removed: npt.NDArray[np.bool_], noise: Pixels) -> Pixels:
    """Each removed pixel the weighted mean of its eight neighbours, removed ones or not, and noise.

    Args:
        image: (C, H, W).
        removed: (H, W), not all of them.
        noise: (C, H, W), added to what is imputed.

    Returns:
        (C, H, W).
    """
    height, width = removed.shape
    places = np.argwhere(removed)
    number = np.full(removed.shape, -1)
    number[removed] = np.arange(len(places))
    own, known = np.zeros(len(places)), np.zeros((len(places), len(image)))
    rows, columns, values = [], [], []
    for offset, weight in _NEIGHBOURS.items():
        at = places + offset
        inside = ((at >= 0) & (at < (height, width))).all(1)
        own += weight * inside
        y, x = at[inside].T
        row, other = np.flatnonzero(inside), number[y, x]
        is_known = other < 0
        known[row[is_known]] += weight * image[:, y[is_known], x[is_known]].T
        rows.append(row[~is_known])
        columns.append(other[~is_known])
        values.append(np.full((~is_known).sum(), -weight))
    diagonal = np.arange(len(places))
    entries = np.concatenate([own, *values]), (np.concatenate([diagonal, *rows]), np.concatenate([diagonal, *columns]))
    # The matrix is symmetric, which this order of elimination profits from.
    solved = spsolve(csc_matrix(entries, shape=(len(places),) * 2), known, permc_spec="MMD_AT_PLUS_A")
    found = image.copy()
    found[:, removed] = solved.reshape(known.shape).T + noise[:, removed]
    return found
