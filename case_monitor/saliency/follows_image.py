"""Whether a layer's grid is a picture: a change of one place of the image is seen in that place of the grid."""

import itertools
from collections.abc import Callable

import torch
from torch import Tensor

_PLACES = 3
"""Places along each side at which the image is changed, one after the other."""
_LEAST_SIDE = 4
"""Of a grid: on a smaller one, every cell is near to every place."""
_NEAR = 1.0
"""Cells around a place in which its change is looked for."""
_OF_TOKENS, _OF_A_GRID = 0.01, 0.1
"""Share of the 216 orders of an axis that may fit as well: where any order is possible, and where one is likely."""
_LOCAL = 5.0
"""How many times as much a cell changes by one place as by all nine on average, where changes stay together; 9 at most.
A dozen convolutions blur it to 2, and what is seen of the order is then little."""


def follows_image(grid_of: Callable[[Tensor], Tensor], image: Tensor, *, surely: bool) -> bool:
    """Whether the grid (B, K, h, w) of images (B, C, H, W) changes where the image (1, C, H, W) is changed.

    Along either axis, the changes must fit the places at which the image was changed better than they fit the same
    places in another order. A grid of few cells is taken for one that does.

    Args:
        grid_of: runs a model up to the grid.
        image: one image.
        surely: tokens may stand in any order, so that a doubt counts against them; else only changes that stay
            together, in the wrong place, do.
    """
    with torch.no_grad():
        h, w = grid_of(image.expand(2, -1, -1, -1).clone()).shape[-2:]
        if min(h, w) < _LEAST_SIDE:
            return True
        at = [(2 * i + 1) / (2 * _PLACES) for i in range(_PLACES)]
        places = list(itertools.product(at, at))
        grids = grid_of(torch.cat([image, *(_changed(image, y, x, h, w) for y, x in places)])).double()
    moved = (grids[1:] - grids[:1]).abs().sum(1).cpu()  # (places, h, w)
    if not bool(moved.isfinite().all()):
        return True  # a model that is broken, which is said elsewhere
    seen = moved / moved.mean(0, keepdim=True).clamp(min=torch.finfo(moved.dtype).tiny)
    fit = _fit(seen, places).view(_PLACES, _PLACES, _PLACES, _PLACES)
    in_rows = torch.stack([fit[i, :, i, :] for i in range(_PLACES)])
    in_columns = torch.stack([fit[:, j, :, j] for j in range(_PLACES)])
    allowed = _OF_TOKENS if surely else _OF_A_GRID
    if max(_as_good(in_rows), _as_good(in_columns)) <= allowed:
        return True
    return not surely and bool(seen.amax((1, 2)).median() < _LOCAL)


def _fit(seen: Tensor, places: list[tuple[float, float]]) -> Tensor:
    """(places, places) how much of change i is seen around place j, beside what is seen of it everywhere."""
    seen = seen - seen.mean((1, 2), keepdim=True)
    h, w = seen.shape[1:]
    rows, columns = torch.arange(h) + 0.5, torch.arange(w) + 0.5
    near = [((rows - y * h).abs() < _NEAR)[:, None] & ((columns - x * w).abs() < _NEAR)[None] for y, x in places]
    return torch.stack([seen[:, mask].mean(1) for mask in near], dim=1)


def _as_good(fits: Tensor) -> float:
    """The share of orders within the lines in which (lines, n, n) fits are as good as in their own, itself included."""
    lines, n = fits.shape[:2]
    orders = list(itertools.permutations(range(n)))
    sums = torch.stack([torch.stack([fits[k, range(n), list(order)].sum() for order in orders]) for k in range(lines)])
    totals = sums[0]
    for line in sums[1:]:
        totals = (totals[:, None] + line[None]).flatten()
    own = sums[:, 0].sum()  # the first of the orders is their own
    return float((totals >= own - 1e-12).double().mean())


def _changed(image: Tensor, y: float, x: float, h: int, w: int) -> Tensor:
    """The image with about one cell's pixels around a place turned over: bright where they are dark."""
    height, width = image.shape[-2:]
    tall, wide = max(1, height // h), max(1, width // w)
    top, left = int(y * h) * height // h, int(x * w) * width // w
    changed = image.clone()
    patch = changed[..., top : top + tall, left : left + wide]
    low, high = image.amin((-2, -1), keepdim=True), image.amax((-2, -1), keepdim=True)
    patch.copy_(torch.where(patch > (low + high) / 2, low, high).expand_as(patch))
    return changed
