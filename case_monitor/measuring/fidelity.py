"""Fidelity (RQ2): does the model's confidence fall when the pixels that a map points at are taken away?"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.protocol import TOP_FRACTION, drop_suffix
from case_monitor.domain.scores import FIDELITY_MARGIN
from case_monitor.measuring.masked_passes import Answered, Logits, MaskedPasses, Question, fill_image
from case_monitor.measuring.top_pixels import top_count_mask, top_fraction_mask


def seeds_of_names(sample_ids: Sequence[str]) -> IntArray:
    """(B,) a number for each image's name."""
    return np.array([zlib.crc32(name.encode()) for name in sample_ids], dtype=np.int64)


def maps_of_seeds(seeds: IntArray, layer_size: Sequence[int], input_size: Sequence[int], seed: int) -> Tensor:
    """Two independent random maps per image, as coarse as a saliency map: (B, 2, H, W).

    Uniform noise at the target layer's resolution, upsampled like a saliency map, so that the control differs from a
    method only in knowing nothing. Seeded by the image's name: the same whatever the batch.
    """
    maps = noise_of_seeds(seeds, layer_size, seed)
    return F.interpolate(maps, size=tuple(input_size), mode="bilinear", align_corners=False)


def noise_of_seeds(seeds: IntArray, layer_size: Sequence[int], seed: int) -> Tensor:
    """The same as small as the layer: (B, 2, h, w)."""
    noise = [
        np.random.default_rng([seed, of_image]).random((2, *layer_size), dtype=np.float32)
        for of_image in seeds.tolist()
    ]
    return torch.from_numpy(np.stack(noise))


def random_maps(sample_ids: Sequence[str], layer_size: Sequence[int], input_size: Sequence[int], seed: int) -> Tensor:
    """`maps_of_seeds` of images by their names."""
    return maps_of_seeds(seeds_of_names(sample_ids), layer_size, input_size, seed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drops:
    """What came of taking pixels away.

    Attributes:
        values: (method, "confidence_drop_<area>") and (method, "random_drop_<area>") -> (B,) float64; NaN where a map
            has nothing to replace, or the model gives NaN.
        margins: what was taken away for them is followed in logits instead of probabilities: (method,
            "fidelity_margin") of what people are shown, and those of `contrastive_deletion`.
        broken: (B,) passes over the image in which the model gave NaN or infinity.
    """

    values: dict[tuple[str, str], FloatArray]
    margins: dict[tuple[str, str], FloatArray]
    broken: IntArray


def drop_names(methods: Sequence[str], areas: Sequence[float], fills: Sequence[str]) -> list[tuple[str, str]]:
    """Method and metric of each drop, in the order in which `confidence_drops` gives them."""
    return [
        (method, f"{kind}_drop_{drop_suffix(area, fill)}")
        for area in areas
        for fill in fills
        for kind in ("confidence", "random")
        for method in methods
    ]


def margin_names(shown: str, areas: Sequence[float]) -> list[tuple[str, str]]:
    """Method and metric of the margin that `confidence_drops` gives: there is none without the 5% among the areas."""
    return [(shown, FIDELITY_MARGIN)] if TOP_FRACTION in areas else []


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShownMap:
    """The method that people are shown, and its maps (B, H, W) of class u, of centred logits."""

    method: str
    maps: Tensor


def confidence_drops(
    logits: Logits,
    images: Tensor,
    classes: Tensor,
    maps: Mapping[str, Tensor],
    control: Tensor,
    shown: ShownMap,
    *,
    areas: Sequence[float],
    fills: Sequence[str],
    batch_size: int,
    excluded: Tensor | None = None,
) -> Drops:
    """Signed drop p_u(x) - p_u(x without the top pixels) for every method, and for a random map of equal area.

    The margin of logits is followed where the top 5% of what people are shown are taken away: of centred logits, since
    one vector added to all rows of the head changes the maps of the logits as they are, and no probability.

    Args:
        logits: the model, (B, C, H, W) -> (B, num_classes).
        images: (B, C, H, W).
        classes: (B, 2) the class u whose softmax probability is followed, and the one that it is told from.
        maps: method -> (B, H, W) saliency maps of class u.
        control: (B, H, W) random maps.
        shown: what people are shown.
        areas: fractions of the pixels to replace; fewer are replaced where fewer are positive, in the control too.
        fills: what replaces them.
        batch_size: images per forward pass.
        excluded: (B, num_classes) bool, classes that no probability is left to, as an image is of these, too.
    """
    of_methods = _mask_pairs(torch.stack([*maps.values()]), control, areas)  # (A, 2M, B, H, W)
    of_shown = _mask_pairs(shown.maps.unsqueeze(0), control, areas)  # (A, 2, B, H, W)
    of_shown &= torch.tensor([area == TOP_FRACTION for area in areas], device=images.device).view(-1, 1, 1, 1, 1)
    pixels = torch.cat([of_methods, of_shown], dim=1)
    fillings = torch.stack([fill_image(images, fill) for fill in fills])  # (F, B, C, H, W)
    passes = MaskedPasses(pixels, fillings, images, Question(logits, classes, excluded))
    before, after = passes.unmasked(batch_size), passes.masked(batch_size)
    drops = (before.confidence - after.confidence[:, :, :-2]).cpu().numpy()  # (A, F, 2M, B)
    return Drops(
        values=dict(zip(drop_names(tuple(maps), areas, fills), drops.reshape(-1, len(images)), strict=True)),
        margins=_margins(after, shown.method, areas),
        broken=(passes.broken(after) + ~before.is_number).cpu().numpy(),
    )


def _margins(after: Answered, shown: str, areas: Sequence[float]) -> dict[tuple[str, str], FloatArray]:
    """Of the first fill, from passes (A, F, 2M + 2, B); NaN where the model gives none."""
    return {
        name: finite(torch.sub(*after.margin[areas.index(TOP_FRACTION), 0, [-1, -2]]))
        for name in margin_names(shown, areas)
    }


def finite(values: Tensor) -> FloatArray:
    """As an array, with NaN for what is infinite."""
    array: FloatArray = torch.where(values.isfinite(), values, torch.nan).cpu().numpy()
    return array


def _mask_pairs(maps: Tensor, control: Tensor, areas: Sequence[float]) -> Tensor:
    """(A, 2M, B, H, W) bool: for each area, the pixels of every map (M, B, H, W), then as many of its control's."""
    pairs = []
    for area in areas:
        masks = top_fraction_mask(maps, area)
        counts = masks.sum((-2, -1))
        pairs.append(torch.cat([masks, top_count_mask(control, counts)]))
    return torch.stack(pairs)
