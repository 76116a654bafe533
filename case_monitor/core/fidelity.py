"""Fidelity (RQ2): does the model's confidence fall when the pixels that a map points at are taken away?"""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from case_monitor.core.errors import ConfigError
from case_monitor.core.masks import top_fraction_mask
from case_monitor.core.protocol import drop_suffix
from case_monitor.core.records import FloatArray

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


def random_maps(sample_ids: Sequence[str], layer_size: Sequence[int], input_size: Sequence[int], seed: int) -> Tensor:
    """Two independent random maps per image, as coarse as a saliency map: (B, 2, H, W).

    Uniform noise at the target layer's resolution, upsampled like a saliency map, so that the control differs from a
    method only in knowing nothing. Seeded by the image's name: the same whatever the batch.
    """
    noise = [
        np.random.default_rng([seed, zlib.crc32(name.encode())]).random((2, *layer_size), dtype=np.float32)
        for name in sample_ids
    ]
    maps = torch.from_numpy(np.stack(noise))
    return F.interpolate(maps, size=tuple(input_size), mode="bilinear", align_corners=False)


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
) -> dict[tuple[str, str], FloatArray]:
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

    Returns:
        (method, "confidence_drop_<area>") and (method, "random_drop_<area>") -> (B,) float64; NaN where a map has
        nothing to replace.
    """
    order = control.flatten(1).argsort(dim=1, descending=True, stable=True)
    ranks = order.argsort(dim=1).view_as(control)
    queue = _MaskedQueue(images, class_idx)
    fillings = {fill: fill_image(images, fill) for fill in fills}
    for area in areas:
        masks = {method: top_fraction_mask(m, area) for method, m in maps.items()}
        for fill, filled in fillings.items():
            suffix = drop_suffix(area, fill)
            for method, mask in masks.items():
                queue.add((method, f"confidence_drop_{suffix}"), mask, filled)
                random_mask = ranks < mask.sum((1, 2)).view(-1, 1, 1)
                queue.add((method, f"random_drop_{suffix}"), random_mask, filled)
    return queue.run(logits, batch_size)


class _MaskedQueue:
    """Masked images of all methods, areas and fills, run together; equal masks of the same image run once."""

    def __init__(self, images: Tensor, class_idx: Tensor) -> None:
        self._images, self._class_idx = images, class_idx
        self._places: dict[tuple[str, str], list[int | None]] = {}
        self._rows: dict[tuple[int, int, bytes], int] = {}
        self._work: list[tuple[int, Tensor]] = []

    def add(self, name: tuple[str, str], masks: Tensor, filled: Tensor) -> None:
        """Queue the images with `masks` (B, H, W) replaced by `filled`."""
        packed = np.packbits(masks.flatten(1).cpu().numpy(), axis=1)
        places: list[int | None] = []
        for i, mask in enumerate(masks):
            if not packed[i].any():
                places.append(None)
                continue
            key = (i, id(filled), packed[i].tobytes())
            if key not in self._rows:
                self._rows[key] = len(self._work)
                self._work.append((i, torch.where(mask, filled[i], self._images[i])))
            places.append(self._rows[key])
        self._places[name] = places

    def run(self, logits: Logits, batch_size: int) -> dict[tuple[str, str], FloatArray]:
        before = self._confidence(logits, self._images, self._class_idx)
        after: list[float] = []
        for start in range(0, len(self._work), batch_size):
            chunk = self._work[start : start + batch_size]
            classes = self._class_idx[[i for i, _ in chunk]]
            after.extend(self._confidence(logits, torch.stack([x for _, x in chunk]), classes))
        return {
            name: np.array([np.nan if p is None else before[i] - after[p] for i, p in enumerate(places)])
            for name, places in self._places.items()
        }

    @staticmethod
    @torch.no_grad()
    def _confidence(logits: Logits, images: Tensor, class_idx: Tensor) -> list[float]:
        probabilities = logits(images).double().softmax(1)
        return probabilities.gather(1, class_idx.view(-1, 1)).flatten().tolist()
