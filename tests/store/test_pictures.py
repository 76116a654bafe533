"""Pictures as they are stored: read back with Pillow, they say what the maps said."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from case_monitor.measuring.top_pixels import top_fraction_mask
from case_monitor.store.write.pictures import image_png, map_png


def opened(png: bytes, mode: str) -> np.ndarray:
    with Image.open(io.BytesIO(png)) as picture:
        assert (picture.format, picture.mode) == ("PNG", mode)
        return np.asarray(picture)


def a_map(height: int, width: int) -> np.ndarray:
    """A hill whose top is not in the middle, float32, up to 7.5."""
    yy, xx = np.mgrid[:height, :width]
    hill = np.exp(-(((yy / height - 0.3) ** 2) + (xx / width - 0.611) ** 2) * 9)
    return (7.5 * hill / hill.max()).astype(np.float32)


def test_a_small_image_is_stored_to_the_last_bit() -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 31, 3), dtype=np.uint8)
    assert (opened(image_png(image), "RGB") == image).all()


@pytest.mark.parametrize(
    ("shape", "stored"), [((256, 100), (256, 100)), ((512, 384), (256, 192)), ((3, 900), (1, 256))]
)
def test_the_longer_side_is_at_most_256(shape: tuple[int, int], stored: tuple[int, int]) -> None:
    assert opened(image_png(np.full((*shape, 3), 90, np.uint8)), "RGB").tolist() == np.full((*stored, 3), 90).tolist()
    assert opened(map_png(a_map(*shape)), "LA").shape == (*stored, 2)
    assert opened(map_png(np.zeros(shape, np.float32)), "LA").tolist() == np.zeros((*stored, 2)).tolist()


def test_the_level_is_kept_where_alpha_is_zero() -> None:
    saliency_map = a_map(40, 60)
    level, alpha = np.moveaxis(opened(map_png(saliency_map), "LA"), -1, 0)
    assert (level == np.round(saliency_map.astype(float) / 7.5 * 255)).all()
    assert level[alpha == 0].max() > 200
    highest = np.argsort(-saliency_map, axis=None, kind="stable")[:120]  # floor(0.05 * 40 * 60); of equals, the first
    assert np.flatnonzero(alpha == 255).tolist() == sorted(highest.tolist())
    assert set(np.unique(alpha)) == {0, 255}


def test_a_large_map_is_marked_at_full_size() -> None:
    """A comb of single bright columns, which are gone once they are averaged with their neighbours."""
    comb = a_map(512, 512)
    comb[:, 1::4] += 100
    level, alpha = np.moveaxis(opened(map_png(comb), "LA"), -1, 0)
    mask = top_fraction_mask(torch.from_numpy(comb), 0.05).numpy()
    assert ((alpha == 255) == mask[1::2, 1::2]).all()  # what "nearest" takes at half the size
    assert level.max() == 255
    assert level[alpha == 0].max() > 50


@pytest.mark.parametrize("value", [0.0, 3.0, -1.0, float("nan"), float("inf")])
def test_a_degenerate_map_is_all_zero(value: float) -> None:
    degenerate = np.full((24, 24), value, dtype=np.float32)
    assert not opened(map_png(degenerate), "LA").any()
    degenerate = a_map(24, 24)
    degenerate[5, 5] = np.nan
    assert not opened(map_png(degenerate), "LA").any()


@pytest.mark.parametrize("scale", [1e-38, 1e38])
def test_no_scale_is_too_small_or_too_large(scale: float) -> None:
    saliency_map = (a_map(300, 300).astype(float) / 7.5 * scale).astype(np.float32)
    level, alpha = np.moveaxis(opened(map_png(saliency_map), "LA"), -1, 0)
    assert level.max() == 255
    assert abs(np.mean(alpha > 0) - 0.05) < 0.002
