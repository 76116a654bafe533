"""Two sets of images, each with a pool that verdicts are drawn from: digits that people wrote, and generated glyphs."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from benchmarks import planted
from case_monitor.demo import digits

Mark = Literal["in all classes", "in one class"]
_DIGITS_TO_LEARN = 797
_GLYPHS_TO_LEARN, _GLYPHS_IN_POOL = 5000, 1000
_LEARN_SEED, _POOL_SEED = 1000, 2
_BLOCK = 3  # pixels of a side; a mark is four blocks in the corner
_MARKED_CLASS = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labelled:
    """Images (N, 1, H, W), normalised, with their classes (N,)."""

    images: Tensor
    target: Tensor

    def __getitem__(self, rows: Tensor | slice) -> "Labelled":
        return Labelled(images=self.images[rows], target=self.target[rows])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ImageSet:
    """What networks learn from, and the images that they are judged on.

    Attributes:
        name: of the set.
        class_names: of its classes.
        side: pixels of an image's side.
        white: the brightest pixel, normalised.
        shifted: whether images are shifted by up to two pixels while they are learned.
        learned: the images that the network of a seed learns from.
        pool: those that verdicts are drawn from, the same for all networks.
    """

    name: str
    class_names: tuple[str, ...]
    side: int
    white: float
    shifted: bool
    learned: Callable[[int], Labelled]
    pool: Callable[[], Labelled]

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def marked(self, data: Labelled, mark: Mark | None) -> Labelled:
        """The same with a mark in the top left corner that gives the class away: each has its own, or one has one."""
        if mark is None:
            return data
        images = data.images.clone()
        for u in range(self.num_classes):
            blocks = u + 1 if mark == "in all classes" else 15 * (u == _MARKED_CLASS)
            if blocks:
                images[data.target == u, :, : 2 * _BLOCK, : 2 * _BLOCK] = _drawn(blocks, self.white)
        return Labelled(images=images, target=data.target)


def _drawn(blocks: int, white: float) -> Tensor:
    """The number's four bits, as blocks of 2 x 2."""
    bits = torch.tensor([[blocks & 1, blocks >> 1 & 1], [blocks >> 2 & 1, blocks >> 3 & 1]])
    lit = bits.repeat_interleave(_BLOCK, 0).repeat_interleave(_BLOCK, 1)
    return torch.where(lit > 0, white, 0.0)


@cache
def _all_digits() -> Labelled:
    data = digits.load_digits()
    images = torch.from_numpy(np.concatenate([data.train_images, data.val_images]))[:, None].float() / 255
    target = torch.from_numpy(np.concatenate([data.train_labels, data.val_labels]))
    return Labelled(images=(images - digits.MEAN[0]) / digits.STD[0], target=target)


@cache
def _glyphs(count: int, seed: int) -> Labelled:
    data = planted.planted_images(count, seed)
    return Labelled(images=data.images, target=data.target)


DIGITS = ImageSet(
    name="digits",
    class_names=digits.CLASS_NAMES,
    side=digits.SIDE,
    white=(1 - digits.MEAN[0]) / digits.STD[0],
    shifted=True,
    learned=lambda _: _all_digits()[:_DIGITS_TO_LEARN],
    pool=lambda: _all_digits()[_DIGITS_TO_LEARN:],
)
GLYPHS = ImageSet(
    name="glyphs",
    class_names=planted.CLASS_NAMES,
    side=planted.SIDE,
    white=(1 - planted.MEAN) / planted.STD,
    shifted=False,
    learned=lambda seed: _glyphs(_GLYPHS_TO_LEARN, _LEARN_SEED + seed),
    pool=lambda: _glyphs(_GLYPHS_IN_POOL, _POOL_SEED),
)
IMAGE_SETS = {images.name: images for images in (DIGITS, GLYPHS)}
