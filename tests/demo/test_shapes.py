"""Generated images of which it is known what tells classes apart."""

import numpy as np
import pytest

from case_monitor.demo.shapes import CLASS_NAMES, SHAPES, SIDE, TEXTURES, draw_shapes


def test_the_same_seed_draws_the_same_images_and_another_others() -> None:
    first, again, other = draw_shapes(40, seed=3), draw_shapes(40, seed=3), draw_shapes(40, seed=4)
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.images, other.images)


def test_every_class_has_as_many_images() -> None:
    drawn = draw_shapes(60, seed=0)
    assert drawn.images.shape == (60, SIDE, SIDE, 3)
    assert np.bincount(drawn.labels).tolist() == [3] * len(CLASS_NAMES) == [3] * 20


def bright(image: np.ndarray) -> np.ndarray:
    """Where the figure's ink is: brighter than any ground and any clutter, in its darkest channel."""
    return np.asarray(image.min(axis=2) > 150)


@pytest.mark.parametrize("texture", range(len(TEXTURES)))
def test_textures_are_what_they_are_called(texture: int) -> None:
    """Along a plain stripe nothing changes: changes of brightness along rows and columns, over squares of a texture."""
    drawn = draw_shapes(400, seed=1)
    squares = drawn.images[drawn.labels == SHAPES.index("square") * len(TEXTURES) + texture]
    ink = np.stack([bright(image) for image in squares])
    along, down = (np.diff(ink.astype(int), axis=axis) != 0 for axis in (2, 1))
    ratio = along.sum() / down.sum()
    expected = {"plain": (0.8, 1.25), "across": (0, 0.5), "upright": (2, 99), "checked": (0.8, 1.25)}[TEXTURES[texture]]
    assert expected[0] < ratio < expected[1]
    changes = (along.sum() + down.sum()) / len(squares)
    assert (changes > 100) == (TEXTURES[texture] != "plain")
