"""Generated images whose evidence is known: every class has one glyph of its own and shares two with its group.

12 classes in 3 groups of 4. An image of class "A" shows the letter A, the two symbols of the classes A, E, K and S, and
two glyphs that say nothing, each somewhere else. What tells A from a class of another group is the letter and the
symbols; what tells it from E, K and S is the letter alone. Now and then the letter is left out, so that a good model
confuses a class with its group, and with no other.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from case_monitor.domain.arrays import IntArray

GLYPHS = {
    "A": ".###. #...# ##### #...# #...#",
    "E": "##### #.... ####. #.... #####",
    "K": "#...# #..#. ###.. #..#. #...#",
    "S": ".#### #.... .###. ....# ####.",
    "F": "##### #.... ####. #.... #....",
    "H": "#...# #...# ##### #...# #...#",
    "N": "#...# ##..# #.#.# #..## #...#",
    "Z": "##### ...#. ..#.. .#... #####",
    "L": "#.... #.... #.... #.... #####",
    "P": "####. #...# ####. #.... #....",
    "T": "##### ..#.. ..#.. ..#.. ..#..",
    "X": "#...# .#.#. ..#.. .#.#. #...#",
    "cross": "..#.. ..#.. ##### ..#.. ..#..",
    "ring": ".###. #...# #...# #...# .###.",
    "bars": "##### ..... ##### ..... #####",
    "checks": "#.#.# .#.#. #.#.# .#.#. #.#.#",
    "diamond": "..#.. .#.#. #...# .#.#. ..#..",
    "disc": ".###. ##### ##### ##### .###.",
    "cup": "#...# #...# #...# #...# .###.",
    "fork": "#...# .#.#. ..#.. ..#.. ..#..",
    "hook": "##### ....# ....# ....# ....#",
    "cone": "..#.. ..#.. .###. .###. #####",
}
"""Name -> 5 rows of 5 pixels."""

GROUPS = (("AEKS", ("cross", "ring")), ("FHNZ", ("bars", "checks")), ("LPTX", ("diamond", "disc")))
"""The classes of a group, each named after its own letter, and the symbols that they share."""
DISTRACTORS = ("cup", "fork", "hook", "cone")
CLASS_NAMES = tuple(letter for letters, _ in GROUPS for letter in letters)

SIDE = 48
MEAN, STD = 0.3, 0.25
NOISE, DROPPED = 0.08, 0.04
_CELL = 16  # a glyph stays within one of 3 x 3 cells, so that no two overlap
_SIZES = (9, 13)
_CONTRASTS = (0.35, 0.7)
_SLOTS = 5  # glyphs of an image: its own, two shared ones, two distractors
_CHUNK = 500  # images drawn at a time

Part = Literal["unique", "shared"]
_SLOTS_OF: dict[Part, list[int]] = {"unique": [0], "shared": [1, 2]}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Planted:
    """Images with their classes, and where the evidence is.

    Attributes:
        images: (N, 1, 48, 48) float32, normalised.
        target: (N,) int64 true classes.
        unique: (N, 48, 48) bool, the square of the glyph that no other class has; empty where it was left out.
        shared: (N, 48, 48) bool, the squares of the two glyphs that the class's group shares.
    """

    images: Tensor
    target: Tensor
    unique: Tensor
    shared: Tensor


def group_of(class_idx: Tensor) -> Tensor:
    """The group of each class, elementwise."""
    return class_idx // len(GROUPS[0][0])


def planted_images(
    count: int, seed: int, *, noise: float = NOISE, dropped: float = DROPPED, hide: Part | None = None
) -> Planted:
    """Draw images of all classes, as many of each as `count` allows.

    Args:
        count: number of images.
        seed: of everything random.
        noise: SD of the pixel noise, where glyphs are 0.35 to 0.7 brighter than the ground.
        dropped: share of the images without the glyph of their own; a perfect model gets three of four of them wrong.
        hide: draw these glyphs in no image, and everything else as without this option. The masks stay as they were.

    Example:
        >>> data = planted_images(24, seed=0, dropped=0)
        >>> data.images.shape, data.unique.any((1, 2)).all().item(), (data.unique & data.shared).any().item()
        (torch.Size([24, 1, 48, 48]), True, False)
    """
    generator = torch.Generator().manual_seed(seed)
    target = torch.randperm(count, generator=generator) % len(CLASS_NAMES)
    parts = [_draw(chunk, generator, noise, dropped, hide) for chunk in torch.split(target, _CHUNK)]
    images, unique, shared = (torch.cat(tensors) for tensors in zip(*parts, strict=True))
    return Planted(images=images, target=target, unique=unique, shared=shared)


class PlantedImages:
    """Planted images as a split: an `ImageSource`."""

    excluded = None

    def __init__(self, planted: Planted) -> None:
        self._images = planted.images
        self.sample_ids = tuple(f"planted-{i:05d}" for i in range(len(planted.images)))
        self.target: IntArray = planted.target.numpy()

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        """Batches (B, 1, 48, 48) float32 of the images at `indices`, in that order."""
        for rows in torch.split(torch.tensor(list(indices), dtype=torch.int64), batch_size):
            if len(rows):
                yield self._images[rows]

    def to_display(self, images: Tensor) -> npt.NDArray[np.uint8]:
        """(B, 1, H, W) normalised images as a person would see them: (B, H, W, 3) uint8."""
        grey = ((images * STD + MEAN) * 255).round().clamp(0, 255).to(torch.uint8)
        return grey.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).contiguous().numpy()


def _draw(
    target: Tensor, generator: torch.Generator, noise: float, dropped: float, hide: Part | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Images (n, 1, H, W) of the classes `target`, and both masks (n, H, W)."""
    rows = len(target)
    glyphs = _choose(target, generator)  # (n, S)
    size = torch.randint(_SIZES[0], _SIZES[1] + 1, (rows, _SLOTS), generator=generator)
    corner = (torch.rand(rows, _SLOTS, 2, generator=generator) * (_CELL + 1 - size).unsqueeze(-1)).long()
    contrast = _between(_CONTRASTS, torch.rand(rows, _SLOTS, generator=generator))
    present = torch.ones(rows, _SLOTS, dtype=torch.bool)
    present[:, 0] = torch.rand(rows, generator=generator) >= dropped
    cells = torch.rand(rows, (SIDE // _CELL) ** 2, generator=generator).argsort(1)[:, :_SLOTS]
    background = MEAN / 2 + noise * _clutter(rows, generator)

    drawn, squares = _paint(_bitmaps()[glyphs], size, corner)  # (n, S, 16, 16)
    squares = squares & present[..., None, None]
    visible = present.clone()
    if hide is not None:
        visible[:, _SLOTS_OF[hide]] = False
    ink = drawn * (contrast * visible)[..., None, None]
    images = background + _on_canvas(ink, cells).sum(1, keepdim=True)
    placed = _on_canvas(squares, cells)  # (n, S, H, W)
    unique, shared = (placed[:, _SLOTS_OF[part]].any(1) for part in ("unique", "shared"))
    return (images - MEAN) / STD, unique, shared


def _choose(target: Tensor, generator: torch.Generator) -> Tensor:
    """(n, S) which glyph of `GLYPHS` each slot shows: own, shared, shared, distractor, distractor."""
    names = list(GLYPHS)
    own = torch.tensor([names.index(name) for name in CLASS_NAMES])
    shared = torch.tensor([[names.index(name) for name in symbols] for _, symbols in GROUPS])
    nothing = torch.tensor([names.index(name) for name in DISTRACTORS])
    which = torch.rand(len(target), len(DISTRACTORS), generator=generator).argsort(1)[:, :2]
    return torch.cat([own[target].unsqueeze(1), shared[group_of(target)], nothing[which]], dim=1)


def _bitmaps() -> Tensor:
    """(G, 5, 5) float32."""
    return torch.tensor([[[pixel == "#" for pixel in row] for row in rows.split()] for rows in GLYPHS.values()]).float()


def _between(ends: tuple[float, float], share: Tensor) -> Tensor:
    return ends[0] + (ends[1] - ends[0]) * share


def _clutter(rows: int, generator: torch.Generator) -> Tensor:
    """(n, 1, H, W): a slow change of brightness, and noise in every pixel."""
    slow = F.interpolate(torch.randn(rows, 1, 6, 6, generator=generator), size=(SIDE, SIDE), mode="bilinear")
    return slow / 2 + torch.randn(rows, 1, SIDE, SIDE, generator=generator)


def _paint(bitmaps: Tensor, size: Tensor, corner: Tensor) -> tuple[Tensor, Tensor]:
    """Every bitmap (n, S, 5, 5) in its `size` (n, S), `corner` (n, S, 2) of its cell: ink, square (n, S, 16, 16)."""
    centres = torch.arange(_CELL) + 0.5
    # Where each row and each column of the cell falls in the bitmap, whose edges are at -1 and 1.
    y, x = (2 * (centres - corner[..., None]) / size[..., None, None] - 1).unbind(2)  # (n, S, 16)
    square = (y.abs() < 1).unsqueeze(-1) & (x.abs() < 1).unsqueeze(-2)
    grid = torch.stack([x.unsqueeze(-2).expand(square.shape), y.unsqueeze(-1).expand(square.shape)], dim=-1)
    ink = F.grid_sample(bitmaps.flatten(0, 1).unsqueeze(1), grid.flatten(0, 1), align_corners=False)
    # Interpolation blurs the edge; a glyph ends with its square, so that the masks hold all of it.
    return ink.view(square.shape) * square, square


def _on_canvas(patches: Tensor, cells: Tensor) -> Tensor:
    """(n, S, 16, 16) patches in the cells (n, S) of their images: (n, S, H, W), 0 elsewhere."""
    rows, across = len(patches), SIDE // _CELL
    canvas = patches.new_zeros(rows, _SLOTS, across, _CELL, across, _CELL)
    n, s = torch.arange(rows)[:, None], torch.arange(_SLOTS)
    canvas[n, s, cells // across, :, cells % across] = patches
    return canvas.view(rows, _SLOTS, SIDE, SIDE)
