"""Scores of the ground truth benchmark, per image, and what to say of many images and several trained networks."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import Tensor

from benchmarks.planted import Planted
from case_monitor.domain.arrays import UNDEFINED, FloatArray
from case_monitor.domain.protocol import TOP_FRACTION
from case_monitor.judging.statistics.intervals import bootstrap_interval
from case_monitor.measuring.top_pixels import is_degenerate, top_fraction_mask
from case_monitor.saliency import resize_maps

REGIONS = ("unique", "shared", "near unique", "near shared")
CONFIDENCE_LEVEL = 0.95


def regions(data: Planted, reach: int) -> dict[str, Tensor]:
    """Masks (N, H, W) of `REGIONS`; "near" is within `reach` pixels of the one part, and not of the other too.

    A layer with a stride cannot point at single pixels: the edge of what it marks is off by up to its stride.
    """
    unique, shared = _grown(data.unique, reach), _grown(data.shared, reach)
    return dict(zip(REGIONS, (data.unique, data.shared, unique & ~shared, shared & ~unique), strict=True))


def _grown(masks: Tensor, reach: int) -> Tensor:
    return F.max_pool2d(masks.float().unsqueeze(1), 2 * reach + 1, stride=1, padding=reach).squeeze(1) > 0


def shares(maps: Tensor, masks: Tensor) -> FloatArray:
    """(N,) share of the top 5% of maps (N, H, W) that lies in masks (N, H, W); NaN where a map is degenerate."""
    top = top_fraction_mask(maps, TOP_FRACTION)
    inside, marked = (top & masks).sum((1, 2)).double(), top.sum((1, 2)).double()
    share: FloatArray = (inside / marked).numpy()  # 0 / 0 where nothing is marked
    return share


def times_chance(share: FloatArray, masks: Tensor) -> FloatArray:
    """(N,) how many times the share of the image that the mask takes; NaN where it takes none."""
    area: FloatArray = masks.double().mean((1, 2)).numpy()
    times = np.full_like(share, UNDEFINED)
    np.divide(share, area, out=times, where=area > 0)
    return times


def upsampled(maps: Tensor, size: int) -> Tensor:
    """(N, h, w) -> (N, size, size), as the monitor does."""
    return resize_maps(maps.unsqueeze(1), (size, size)).squeeze(1)


def rank_correlation(first: Tensor, second: Tensor) -> FloatArray:
    """(N,) Spearman's rank correlation of maps (N, h, w), ties at their mean rank; NaN where either is degenerate."""
    ranks = [rankdata(maps.flatten(1).numpy(), axis=1) for maps in (first, second)]
    centred = [r - r.mean(axis=1, keepdims=True) for r in ranks]
    spread = np.sqrt(np.prod([(c**2).sum(axis=1) for c in centred], axis=0))
    undefined = (is_degenerate(first) | is_degenerate(second)).numpy() | (spread == 0)
    together = (centred[0] * centred[1]).sum(axis=1)
    return np.where(undefined, UNDEFINED, together / np.where(spread == 0, 1, spread))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A mean over images.

    Attributes:
        mean: over images, of each image's mean over seeds.
        low, high: 95% bootstrap interval over images.
        seed_low, seed_high: least and greatest mean of one seed.
        n: images with a defined score for at least one seed.
        undefined: share of the scores asked for that are undefined.
    """

    mean: float
    low: float
    high: float
    seed_low: float
    seed_high: float
    n: int
    undefined: float


def estimate(scores: FloatArray, asked: npt.NDArray[np.bool_]) -> Estimate:
    """Scores (S, N) of seeds and images, of those `asked` (S, N) for; NaN is counted, never averaged.

    Example:
        >>> e = estimate(np.array([[1.0, 3.0, np.nan], [3.0, 3.0, 9.0]]), np.array([[True] * 3, [True, True, False]]))
        >>> e.mean, e.seed_low, e.seed_high, e.n, e.undefined
        (2.5, 2.0, 3.0, 2, 0.2)
    """
    defined = asked & np.isfinite(scores)
    known = np.where(defined, scores, 0.0)
    count = defined.sum(axis=0)
    images = known.sum(axis=0)[count > 0] / count[count > 0]
    if not len(images):
        nothing = dict.fromkeys(("mean", "low", "high", "seed_low", "seed_high"), UNDEFINED)
        return Estimate(**nothing, n=0, undefined=1.0)
    low, high = bootstrap_interval(images, np.mean, CONFIDENCE_LEVEL, seed=0)
    seeds = [known[s].sum() / defined[s].sum() for s in range(len(scores)) if defined[s].any()]
    return Estimate(
        mean=float(images.mean()),
        low=low,
        high=high,
        seed_low=float(min(seeds)),
        seed_high=float(max(seeds)),
        n=len(images),
        undefined=float((asked & ~defined).sum() / asked.sum()),
    )
