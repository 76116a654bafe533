"""Generated images of 20 classes: one of five shapes filled with one of four textures, on clutter.

Colour, place, size and turn say nothing; which classes are near each other is known: those that share a shape or a
texture.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIDE = 32
MEAN, STD = (0.45, 0.45, 0.45), (0.25, 0.25, 0.25)
SHAPES = ("disc", "ring", "square", "triangle", "cross")
TEXTURES = ("plain", "across", "upright", "checked")
CLASS_NAMES = tuple(f"{texture} {shape}" for shape in SHAPES for texture in TEXTURES)
_RADII = (7.0, 10.0)
_FAINT = 0.3  # how much of a texture's ink its dark parts have
_STRIPE = 2  # pixels
_NOISE = 8.0  # SD, of 255
_BLOBS = 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shapes:
    """Images (N, 32, 32, 3) uint8 and labels (N,)."""

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]


def draw_shapes(count: int, seed: int) -> Shapes:
    """Draw images of all classes, as many of each as `count` allows.

    Args:
        count: number of images.
        seed: of everything random.

    Example:
        >>> drawn = draw_shapes(40, seed=0)
        >>> drawn.images.shape, np.bincount(drawn.labels).tolist() == [2] * 20
        ((40, 32, 32, 3), True)
    """
    rng = np.random.default_rng(seed)
    labels = rng.permutation(count) % len(CLASS_NAMES)
    images = np.stack([_draw(int(label), rng) for label in labels])
    return Shapes(images=images, labels=labels.astype(np.int64))


def _draw(label: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    shape, texture = SHAPES[label // len(TEXTURES)], TEXTURES[label % len(TEXTURES)]
    image = np.broadcast_to(rng.uniform(40, 120, 3), (SIDE, SIDE, 3)).copy()
    for _ in range(_BLOBS):  # clutter: discs of a colour, smaller than any figure
        inside = _mask("disc", _frame(rng, rng.uniform(1.5, 3.5)))
        image[inside] = rng.uniform(40, 200, 3)
    radius = rng.uniform(*_RADII)
    inside = _mask(shape, _frame(rng, radius))
    ink = np.where(_texture(texture, rng), 1.0, _FAINT)[..., None]
    colour = rng.uniform(170, 250, 3)
    image = np.where(inside[..., None], image + (colour - image) * ink, image)
    noisy = image + rng.normal(0, _NOISE, (SIDE, SIDE, 1))
    return np.asarray(noisy.round().clip(0, 255), dtype=np.uint8)


def _frame(rng: np.random.Generator, radius: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Coordinates (u, v) of each pixel about a random centre, turned, with the radius as 1."""
    cy, cx = rng.uniform(radius + 1, SIDE - radius - 2, 2)
    turn = rng.uniform(-0.35, 0.35)
    y, x = np.mgrid[:SIDE, :SIDE]
    v, u = (y - cy) / radius, (x - cx) / radius
    return u * np.cos(turn) + v * np.sin(turn), v * np.cos(turn) - u * np.sin(turn)


def _mask(shape: str, frame: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]) -> npt.NDArray[np.bool_]:
    u, v = frame
    square = np.maximum(abs(u), abs(v))
    inside = {
        "disc": u**2 + v**2 < 1,
        "ring": (u**2 + v**2 < 1) & (u**2 + v**2 > 0.3),
        "square": square < 0.85,
        "triangle": (v < 0.7) & (v > 1.8 * abs(u) - 1),
        "cross": (square < 1) & (np.minimum(abs(u), abs(v)) < 0.36),
    }
    return np.asarray(inside[shape])


def _texture(texture: str, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Where the ink is bright."""
    dy, dx = rng.integers(0, 2 * _STRIPE, 2)
    y, x = np.mgrid[:SIDE, :SIDE]
    across, upright = (y + dy) // _STRIPE % 2 == 0, (x + dx) // _STRIPE % 2 == 0
    bright = {"plain": across | ~across, "across": across, "upright": upright, "checked": across ^ upright}
    return np.asarray(bright[texture])
