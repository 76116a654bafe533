"""Whether a layer's grid is a picture: a change of one place of the image is seen in that place of the grid."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_PLACES = 3
"""Places along each side at which the image is changed, one after the other; of a grid of two cells a side, two."""
_LEAST_SIDE = 4
"""Of a grid that is likely to be one: on a smaller one, changes of a place are seen everywhere."""
_NEAR = 1.0
"""Cells around a place in which its change is looked for."""
_OF_TOKENS, _OF_A_GRID = 0.01, 0.1
"""Share of the 216 orders of an axis that may fit as well: where any order is possible, and where one is likely."""
_OF_FOUR = 1 / 24
"""The same of two by two places, of which all orders are tried."""
_GAIN, _BEYOND_DOUBT = 0.2, 5.0
"""What changes gain beside their mean where they are looked for as in a mirror, at least, and in standard errors."""
_LOCAL = 5.0
"""How many times as much a cell changes by one place as by all nine on average, where changes stay together; 9 at most.
A dozen convolutions blur it to 2, and what is seen of the order is then little."""


@dataclass(frozen=True, slots=True)
class Follows:
    """Whether a grid is a picture of the image, and how well changes fit: what is more of them near their own place."""

    follows: bool
    score: float = 0.0


def follows_image(grid_of: Callable[[Tensor], Tensor], images: Tensor, *, surely: bool) -> Follows:
    """Whether the grid (B, K, h, w) of images (B, C, H, W) changes where each of them is changed.

    Along either axis, the changes must fit the places at which the image was changed better than they fit the same
    places in another order.

    Args:
        grid_of: runs a model up to the grid.
        images: one or two; what is seen of both counts.
        surely: tokens may stand in any order, so that a doubt counts against them; else only changes that stay
            together, in the wrong place, do, and a grid of few cells is taken for one that follows.
    """
    with torch.no_grad():
        h, w = grid_of(images[:1].expand(2, -1, -1, -1).clone()).shape[-2:]
        if not surely and min(h, w) < _LEAST_SIDE:
            return Follows(True)
        count = min(_PLACES, h, w)
        at = [(2 * i + 1) / (2 * count) for i in range(count)]
        places = list(itertools.product(at, at))
        seen = torch.stack([_seen(grid_of, image[None], places, h, w) for image in images]).mean(0)
    if not bool(seen.isfinite().all()):
        return Follows(True)  # a model that is broken, which is said elsewhere
    fit = _fit(seen, places)
    score = float(fit.diagonal().mean())
    if count < _PLACES:
        return Follows(_as_good(fit[None]) <= _OF_FOUR + 1e-9, score)
    fit = fit.view(count, count, count, count)
    in_rows = torch.stack([fit[i, :, i, :] for i in range(count)])
    in_columns = torch.stack([fit[:, j, :, j] for j in range(count)])
    allowed = _OF_TOKENS if surely else _OF_A_GRID
    if max(_as_good(in_rows), _as_good(in_columns)) > allowed:
        is_local = bool(seen.amax((1, 2)).median() >= _LOCAL)
        return Follows(not surely and not is_local and not _is_turned(fit), score)
    return Follows(not _is_turned(fit), score)


def _seen(
    grid_of: Callable[[Tensor], Tensor], image: Tensor, places: list[tuple[float, float]], h: int, w: int
) -> Tensor:
    """(places, h, w) how much each cell changes by each place, beside what it changes by all of them on average."""
    grids = grid_of(torch.cat([image, *(_changed(image, y, x, h, w) for y, x in places)])).double()
    moved = (grids[1:] - grids[:1]).abs().sum(1).cpu()
    return moved / moved.mean(0, keepdim=True).clamp(min=torch.finfo(moved.dtype).tiny)


def _fit(seen: Tensor, places: list[tuple[float, float]]) -> Tensor:
    """(places, places) how much of change i is seen around place j, beside what is seen of it everywhere."""
    seen = seen - seen.mean((1, 2), keepdim=True)
    h, w = seen.shape[1:]
    rows, columns = torch.arange(h) + 0.5, torch.arange(w) + 0.5
    near = [((rows - y * h).abs() < _NEAR)[:, None] & ((columns - x * w).abs() < _NEAR)[None] for y, x in places]
    return torch.stack([seen[:, mask].mean(1) for mask in near], dim=1)


def _is_turned(fit: Tensor) -> bool:
    """Whether changes fit the places of the image when it is mirrored or turned, beyond doubt better than its own.

    Args:
        fit: (n, n, n, n) of the change at the place of the first two indices, around that of the last two.
    """
    places = torch.cartesian_prod(torch.arange(len(fit)), torch.arange(len(fit))).view(len(fit), len(fit), 2)
    own = fit[places[..., 0], places[..., 1], places[..., 0], places[..., 1]]
    for turns, mirrored in itertools.product(range(4), (False, True)):
        there = torch.rot90(places.flip(0) if mirrored else places, turns, (0, 1))
        moves = (there != places).any(-1)
        gain = (fit[places[..., 0], places[..., 1], there[..., 0], there[..., 1]] - own)[moves]
        if moves.any() and gain.mean() > max(_GAIN, _BEYOND_DOUBT * float(gain.std()) / gain.numel() ** 0.5):
            return True
    return False


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
    high = torch.where(high > low, high, low + 1)  # an image of one colour
    patch.copy_(torch.where(patch > (low + high) / 2, low, high).expand_as(patch))
    return changed
