"""Fidelity (RQ2): does the model's confidence fall when the pixels that a map points at are taken away?"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.protocol import drop_suffix
from case_monitor.measuring.top_pixels import top_count_mask, top_fraction_mask

Logits = Callable[[Tensor], Tensor]
FILLS = ("mean", "blur")


def fill_image(images: Tensor, fill: str) -> Tensor:
    """What replaces removed pixels: (B, C, H, W) -> (B, C, H, W).

    `mean` is 0 in normalised space, the data set's mean colour. `blur` is a Gaussian whose SD is 5/224 of the shorter
    side, at least one pixel.
    """
    if fill == "mean":
        return torch.zeros_like(images)
    if fill != "blur":
        msg = f"fill: one of {', '.join(FILLS)} was expected, {fill!r} came"
        raise ConfigError(msg)
    channels, side = images.shape[1], min(images.shape[-2:])
    sigma = max(1.0, 5 * side / 224)
    radius = min(math.ceil(3 * sigma), side - 1)
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(images, (radius,) * 4, mode="reflect")
    rows = F.conv2d(padded, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


def seeds_of_names(sample_ids: Sequence[str]) -> IntArray:
    """(B,) a number for each image's name."""
    return np.array([zlib.crc32(name.encode()) for name in sample_ids], dtype=np.int64)


def maps_of_seeds(seeds: IntArray, layer_size: Sequence[int], input_size: Sequence[int], seed: int) -> Tensor:
    """Two independent random maps per image, as coarse as a saliency map: (B, 2, H, W).

    Uniform noise at the target layer's resolution, upsampled like a saliency map, so that the control differs from a
    method only in knowing nothing. Seeded by the image's name: the same whatever the batch.
    """
    noise = [
        np.random.default_rng([seed, of_image]).random((2, *layer_size), dtype=np.float32)
        for of_image in seeds.tolist()
    ]
    maps = torch.from_numpy(np.stack(noise))
    return F.interpolate(maps, size=tuple(input_size), mode="bilinear", align_corners=False)


def random_maps(sample_ids: Sequence[str], layer_size: Sequence[int], input_size: Sequence[int], seed: int) -> Tensor:
    """`maps_of_seeds` of images by their names."""
    return maps_of_seeds(seeds_of_names(sample_ids), layer_size, input_size, seed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drops:
    """What came of taking pixels away.

    Attributes:
        values: (method, "confidence_drop_<area>") and (method, "random_drop_<area>") -> (B,) float64; NaN where a map
            has nothing to replace, or the model gives NaN.
        broken: (B,) passes over the image in which the model gave NaN or infinity.
    """

    values: dict[tuple[str, str], FloatArray]
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


def confidence_drops(
    logits: Logits,
    images: Tensor,
    class_idx: Tensor,
    maps: Mapping[str, Tensor],
    control: Tensor,
    *,
    areas: Sequence[float],
    fills: Sequence[str],
    batch_size: int,
) -> Drops:
    """Signed drop p_u(x) - p_u(x without the top pixels) for every method, and for a random map of equal area.

    Args:
        logits: the model, (B, C, H, W) -> (B, num_classes).
        images: (B, C, H, W).
        class_idx: (B,) the class u whose softmax probability is followed.
        maps: method -> (B, H, W) saliency maps of class u.
        control: (B, H, W) random maps.
        areas: fractions of the pixels to replace; fewer are replaced where fewer are positive, in the control too.
        fills: what replaces them.
        batch_size: images per forward pass.
    """
    pixels = _mask_pairs(torch.stack([*maps.values()]), control, areas)  # (A, 2M, B, H, W)
    fillings = torch.stack([fill_image(images, fill) for fill in fills])  # (F, B, C, H, W)
    work = _Work(pixels, fillings, images, class_idx)
    before, after = work.run(logits, batch_size)
    drops = (before - after).cpu().numpy()  # (A, F, 2M, B)
    values = dict(zip(drop_names(tuple(maps), areas, fills), drops.reshape(-1, len(images)), strict=True))
    return Drops(values=values, broken=work.broken(before, after).cpu().numpy())


def _mask_pairs(maps: Tensor, control: Tensor, areas: Sequence[float]) -> Tensor:
    """(A, 2M, B, H, W) bool: for each area, the pixels of every map (M, B, H, W), then as many of its control's."""
    pairs = []
    for area in areas:
        masks = top_fraction_mask(maps, area)
        counts = masks.sum((-2, -1))
        pairs.append(torch.cat([masks, top_count_mask(control, counts)]))
    return torch.stack(pairs)


class _Work:
    """Masked images of all methods, areas and fills, run together; equal masks of the same image run once."""

    def __init__(self, masks: Tensor, fillings: Tensor, images: Tensor, class_idx: Tensor) -> None:
        self._masks, self._fillings, self._images, self._class_idx = masks, fillings, images, class_idx
        self._first = _first_equal(masks)  # (A, 2M, B)
        own = self._first == torch.arange(masks.shape[1], device=masks.device).view(-1, 1)
        needed = own & masks.flatten(-2).any(-1)
        self._rows = needed.unsqueeze(1).expand(-1, len(fillings), -1, -1).nonzero()  # (R, 4): area, fill, map, image

    def run(self, logits: Logits, batch_size: int) -> tuple[Tensor, Tensor]:
        """Probability of the class before (B,) and after (A, F, 2M, B); NaN where nothing was masked."""
        before = [
            self._confidence(logits, self._images[part], part)
            for part in torch.split(torch.arange(len(self._images), device=self._images.device), batch_size)
        ]
        areas, maps, images = self._first.shape
        after = torch.full((areas, len(self._fillings), maps, images), torch.nan, dtype=torch.float64)
        after = after.to(self._images.device)
        for rows in torch.split(self._rows, batch_size) if len(self._rows) else ():
            a, f, q, i = rows.T
            masked = torch.where(self._masks[a, q, i].unsqueeze(1), self._fillings[f, i], self._images[i])
            after[a, f, q, i] = self._confidence(logits, masked, i)
        source = self._first.unsqueeze(1).expand_as(after)
        return torch.cat(before), after.gather(2, source)

    def broken(self, before: Tensor, after: Tensor) -> Tensor:
        """(B,) passes that were run and gave no number."""
        ran = self._masks.flatten(-2).any(-1).unsqueeze(1)  # (A, 1, 2M, B)
        return (ran & ~after.isfinite()).sum((0, 1, 2)) + ~before.isfinite()

    @torch.no_grad()
    def _confidence(self, logits: Logits, images: Tensor, places: Tensor) -> Tensor:
        probabilities = logits(images).double().softmax(1)
        return probabilities.gather(1, self._class_idx[places].unsqueeze(1)).squeeze(1)


def _first_equal(masks: Tensor) -> Tensor:
    """(A, Q, B) the number of the first mask (A, Q, B, H, W) that is the same for the same area and image."""
    first = torch.arange(masks.shape[1], device=masks.device).view(1, -1, 1).repeat(len(masks), 1, masks.shape[2])
    sizes = masks.sum((-2, -1))
    for q in range(masks.shape[1]):
        for earlier in range(q):
            same = (sizes[:, q] == sizes[:, earlier]) & (first[:, q] == q)
            if same.any():
                same[same.clone()] = (masks[:, q][same] == masks[:, earlier][same]).flatten(1).all(1)
                first[:, q] = torch.where(same, earlier, first[:, q])
    return first
