"""What rounding can do to scores that look at the highest pixels: pixels that tie with the cut may change sides.

Every score is worked out in double precision for every choice of those pixels. Whatever the processor, the batch or the
number of threads, an evaluation's score must be one of these, within float tolerance.
"""

import copy
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, islice, product

import numpy as np
import torch
from torch import Tensor, nn

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.protocol import TOP_FRACTION, Protocol, drop_suffix
from case_monitor.domain.scores import CLASS_POSITION, FIDELITY_MARGIN, ONE_SIDED, POSITION, SampleScores
from case_monitor.domain.top_pixels import pixel_budget
from case_monitor.measuring.fidelity import random_maps
from case_monitor.measuring.masked_passes import fill_image
from case_monitor.measuring.top_pixels import is_degenerate
from case_monitor.saliency import resize_maps, saliency_maps
from tests.support.sources import TensorSource

FLOAT_TOLERANCE = 1e-5
"""Of what is not selected by rank: probabilities, and maps in relation to the highest value of their method."""
IN_MARGINS_AND_PLACES = {FIDELITY_MARGIN, *ONE_SIDED, *ONE_SIDED.values(), POSITION, CLASS_POSITION}
"""Scores that are not worked out here: tests/measuring does them again in NumPy."""
_LAYER = "features"
_MOST = 1000  # choices for one map; more would say that the tolerance is too wide, not that rounding does this


@dataclass(frozen=True, slots=True, kw_only=True)
class Admissible:
    """(method, metric) -> for every explained image, the scores that rounding may choose from; NaN is undefined."""

    scores: Mapping[tuple[str, str], Sequence[np.ndarray]]

    def check(self, found: SampleScores) -> None:
        """Every score is one of those that may be."""
        more = {metric for _, metric in found.values.keys() - self.scores.keys()}
        assert self.scores.keys() <= found.values.keys()
        assert more == IN_MARGINS_AND_PLACES - ({FIDELITY_MARGIN} - more)
        for key, choices in self.scores.items():
            for name, value, allowed in zip(found.sample_ids, found.values[key], choices, strict=True):
                near = np.isclose(value, allowed, rtol=0, atol=FLOAT_TOLERANCE, equal_nan=True)
                assert near.any(), f"{key} of {name}: one of {allowed} was expected, {value} came"

    def spread(self, key: tuple[str, str]) -> np.ndarray:
        """(n,) how far two evaluations may be apart: by what the exchanged pixels do, or 1 if one is undefined."""
        return np.array([_spread(allowed) for allowed in self.scores[key]])


def _spread(allowed: np.ndarray) -> float:
    undefined = np.isnan(allowed)
    if undefined.any():
        return 0.0 if undefined.all() else 1.0
    return float(np.ptp(allowed))


def masks_but_for_rounding(saliency: Tensor, count: int, tolerance: float) -> list[Tensor]:
    """The `count` highest positive pixels of a map (H, W) whose values are known within `tolerance`: all choices.

    Pixels that are further above the cut are in each of them, those further below in none. Of a map that rounding may
    have made, the empty choice is one.
    """
    empty = torch.zeros_like(saliency, dtype=torch.bool)
    if is_degenerate(saliency):
        return [empty]
    flat = saliency.flatten()
    count = min(count, int((flat > 0).sum()))
    cut = flat.sort(descending=True).values[count - 1]
    sure, tied = flat > cut + tolerance, ((flat - cut).abs() <= tolerance) & (flat > 0)
    places = tied.nonzero().flatten().tolist()
    chosen = list(islice(combinations(places, count - int(sure.sum())), _MOST + 1))
    assert len(chosen) <= _MOST, f"{len(places)} pixels are within {tolerance} of the cut at {cut}"
    masks = [sure.index_fill(0, torch.tensor(c, dtype=torch.int64), True).view_as(saliency) for c in chosen]
    return [*masks, empty] if flat.max() <= tolerance else masks


def admissible(
    model: nn.Module, source: TensorSource, evaluation: Evaluation, *, batch_sizes: Sequence[int]
) -> Admissible:
    """All scores that an evaluation of these images with any of these batch sizes may have."""
    scores, protocol = evaluation.scores, evaluation.provenance.protocol
    places = [source.sample_ids.index(name) for name in scores.sample_ids]
    exact, images = copy.deepcopy(model).double(), source.images[places]
    maps, tolerance = _exact_maps(exact, model, images, evaluation, batch_sizes)
    control = random_maps(scores.sample_ids, (5, 6), images.shape[-2:], protocol.seed)
    maps["random"], tolerance["random"] = control.double(), 1e-6  # between 0 and 1, after one interpolation
    return Admissible(
        scores={
            **{(m, "agreement"): _agreements(pairs, tolerance[m]) for m, pairs in maps.items()},
            **_drops(exact, images.double(), scores.target, maps, tolerance, protocol),
        }
    )


def _exact_maps(
    exact: nn.Module, model: nn.Module, images: Tensor, evaluation: Evaluation, batch_sizes: Sequence[int]
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """Maps (n, 2, H, W) of both classes in double precision, and how far single precision is from them here.

    An evaluation lays weights out in another way, and so rounds otherwise: by no more than four times as much.
    """
    classes = torch.from_numpy(np.stack([evaluation.scores.target, evaluation.scores.top2], axis=1))

    def maps_of(model: nn.Module, images: Tensor, batch_size: int) -> dict[str, Tensor]:
        maps = saliency_maps(
            model,
            images,
            classes,
            target_layer=_LAYER,
            methods=evaluation.provenance.protocol.methods,
            contrast_sets=evaluation.contrast_sets.weights(),
            size="layer",
            batch_size=batch_size,
        )
        return {method: resize_maps(m, images.shape[-2:]) for method, m in maps.items()}

    expected = maps_of(exact, images.double(), len(images))
    tolerance = dict.fromkeys(expected, 0.0)
    for batch_size in batch_sizes:
        for method, maps in maps_of(model, images, batch_size).items():
            error = float((maps - expected[method]).abs().max())
            assert error <= FLOAT_TOLERANCE * float(expected[method].max()), (method, batch_size)
            tolerance[method] = max(tolerance[method], 4 * error)
    return expected, tolerance


def _agreements(pairs: Tensor, tolerance: float) -> list[np.ndarray]:
    """Of the maps (n, 2, H, W) of two classes: |T1 n T2| / min(|T1|, |T2|) for every choice of both."""
    count = pixel_budget(*pairs.shape[-2:], TOP_FRACTION)
    found = []
    for pair in pairs:
        first, second = (masks_but_for_rounding(m, count, tolerance) for m in pair)
        found.append(np.unique([_overlap(t1, t2) for t1, t2 in product(first, second)]))
    return found


def _overlap(first: Tensor, second: Tensor) -> float:
    smaller = min(int(first.sum()), int(second.sum()))
    return int((first & second).sum()) / smaller if smaller else math.nan


def _drops(
    model: nn.Module, images: Tensor, target: IntArray, maps: Mapping[str, Tensor], tolerance: Mapping[str, float],
    protocol: Protocol,
) -> dict[tuple[str, str], list[np.ndarray]]:  # fmt: skip
    """Of the maps of the first class, and of random maps that replace as many pixels, for every choice."""
    found: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)
    for fraction, fill, method in product(protocol.areas, protocol.fills, protocol.methods):
        count, suffix = pixel_budget(*images.shape[-2:], fraction), drop_suffix(fraction, fill)
        for i, (image, u) in enumerate(zip(images, target, strict=True)):
            masks = masks_but_for_rounding(maps[method][i, 0], count, tolerance[method])
            counts = {int(mask.sum()) for mask in masks}
            controls = [m for n in counts for m in _control(maps["random"][i, 0], n, tolerance["random"])]
            for kind, replaced in (("confidence", masks), ("random", controls)):
                found[method, f"{kind}_drop_{suffix}"].append(_drops_of(model, image, int(u), replaced, fill))
    return found


def _control(noise: Tensor, count: int, tolerance: float) -> list[Tensor]:
    return masks_but_for_rounding(noise, count, tolerance) if count else [torch.zeros_like(noise, dtype=torch.bool)]


@torch.no_grad()
def _drops_of(model: nn.Module, image: Tensor, u: int, masks: Sequence[Tensor], fill: str) -> np.ndarray:
    """p_u(x) - p_u(x with the pixels of each mask replaced); NaN for an empty mask."""
    stacked, filling = torch.stack(list(masks)), fill_image(image.unsqueeze(0), fill)
    replaced = torch.where(stacked.unsqueeze(1), filling, image)
    probabilities = model(torch.cat([image.unsqueeze(0), replaced])).softmax(1)[:, u]
    drops = probabilities[0] - probabilities[1:]
    return drops.masked_fill(~stacked.flatten(1).any(1), math.nan).numpy()
