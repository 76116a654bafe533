"""The planted images: what is where, and that the masks tell the truth."""

import pytest
import torch
from torch import Tensor

from benchmarks.planted import (
    CLASS_NAMES,
    DISTRACTORS,
    GLYPHS,
    GROUPS,
    MEAN,
    SIDE,
    PlantedImages,
    group_of,
    planted_images,
)
from benchmarks.planted_models import NETWORKS, STRIDE, TARGET_LAYER, train, untrained
from case_monitor.saliency import saliency_maps

CELL = 16


def names_shown(image: Tensor, mask: Tensor) -> set[str]:
    """Which glyphs a noiseless image (1, H, W) shows inside a mask: in every cell the one most like what is there."""
    bitmaps = torch.tensor([[pixel == "#" for pixel in rows.replace(" ", "")] for rows in GLYPHS.values()]).float()
    found = set()
    for top in range(0, SIDE, CELL):
        for left in range(0, SIDE, CELL):
            cell = slice(top, top + CELL), slice(left, left + CELL)
            if mask[cell].any():
                rows, columns = (mask[cell].any(axis).nonzero().flatten() for axis in (1, 0))
                glyph = image[0][cell][rows][:, columns]
                assert glyph.shape == (len(rows), len(rows))
                seen = torch.nn.functional.adaptive_avg_pool2d(glyph[None], 5).flatten()
                likeness = torch.corrcoef(torch.cat([seen[None], bitmaps]))[0, 1:]
                assert likeness.max() > 0.7
                found.add(list(GLYPHS)[int(likeness.argmax())])
    return found


def test_no_glyph_has_two_parts_to_play() -> None:
    played = [*CLASS_NAMES, *(name for _, symbols in GROUPS for name in symbols), *DISTRACTORS]
    assert sorted(played) == sorted(GLYPHS)
    assert len(set(GLYPHS.values())) == len(GLYPHS)
    assert all([len(row) for row in rows.split()] == [5] * 5 for rows in GLYPHS.values())


def test_shapes_ranges_and_balance() -> None:
    data = planted_images(600, seed=0)
    assert data.images.shape == (600, 1, SIDE, SIDE)
    assert data.images.dtype == torch.float32
    assert data.unique.shape == data.shared.shape == (600, SIDE, SIDE)
    assert data.unique.dtype == data.shared.dtype == torch.bool
    assert data.target.bincount().tolist() == [50] * len(CLASS_NAMES)
    assert abs(data.images.mean().item()) < 0.5
    assert 0.5 < data.images.std().item() < 1.5


def test_masks_are_disjoint_and_have_the_sizes_of_one_and_of_two_glyphs() -> None:
    data = planted_images(400, seed=1, dropped=0)
    assert not (data.unique & data.shared).any()
    unique, shared = data.unique.sum((1, 2)), data.shared.sum((1, 2))
    assert unique.min() == 9**2
    assert unique.max() == 13**2
    assert shared.min() >= 2 * 9**2
    assert shared.max() <= 2 * 13**2


def test_the_same_seed_gives_the_same_images_and_another_one_others() -> None:
    first, again, other = (planted_images(30, seed=seed) for seed in (3, 3, 4))
    for name in ("images", "target", "unique", "shared"):
        assert torch.equal(getattr(first, name), getattr(again, name))
    assert not torch.equal(first.images, other.images)


@pytest.mark.parametrize("part", ["unique", "shared"])
def test_hiding_a_part_changes_nothing_outside_its_mask(part: str) -> None:
    whole, hidden = planted_images(200, seed=5, dropped=0), planted_images(200, seed=5, dropped=0, hide=part)
    changed = (whole.images != hidden.images).squeeze(1)
    mask = getattr(whole, part)
    assert not (changed & ~mask).any()
    assert changed.any((1, 2)).all()
    assert torch.equal(mask, getattr(hidden, part))


def test_the_masks_hold_the_letter_of_the_class_and_the_symbols_of_its_group() -> None:
    data = planted_images(240, seed=6, noise=0, dropped=0)
    letters, symbols = zip(*GROUPS, strict=True)
    for image, unique, shared, u in zip(data.images, data.unique, data.shared, data.target.tolist(), strict=True):
        assert names_shown(image, unique) == {CLASS_NAMES[u]}
        group = int(group_of(torch.tensor(u)))
        assert CLASS_NAMES[u] in letters[group]
        assert names_shown(image, shared) == set(symbols[group])


def test_an_image_shows_nothing_else_but_two_distractors() -> None:
    data = planted_images(60, seed=7, noise=0, dropped=0)
    for image, known in zip(data.images, data.unique | data.shared, strict=True):
        others = (image[0] > image.min()) & ~known
        # Ink reaches every side of a distractor's square, so that its cell's bounding box is the square.
        boxes = torch.zeros_like(others)
        for top in range(0, SIDE, CELL):
            for left in range(0, SIDE, CELL):
                rows, columns = others[top : top + CELL, left : left + CELL].nonzero().unbind(1)
                if len(rows):
                    boxes[top + rows.min() : top + rows.max() + 1, left + columns.min() : left + columns.max() + 1] = (
                        True
                    )
        found = names_shown(image, boxes)
        assert len(found) == 2
        assert found <= set(DISTRACTORS)


def test_left_out_glyphs_are_as_frequent_as_asked_and_have_no_mask() -> None:
    data = planted_images(3000, seed=8, dropped=0.3)
    missing = ~data.unique.any((1, 2))
    assert missing.float().mean().item() == pytest.approx(0.3, abs=0.03)
    assert data.shared.any((1, 2)).all()


def test_an_image_source_reads_in_the_order_asked_for_and_shows_grey_images() -> None:
    data = planted_images(25, seed=9)
    source = PlantedImages(data)
    assert len(source.sample_ids) == len(set(source.sample_ids)) == len(source.target) == 25
    batches = list(source.batches([4, 2, 24], 2))
    assert [len(batch) for batch in batches] == [2, 1]
    assert torch.equal(torch.cat(batches), data.images[[4, 2, 24]])
    assert list(source.batches([], 2)) == []
    display = source.to_display(torch.tensor([-10.0, 0.0, 10.0]).view(3, 1, 1, 1))
    assert display.shape == (3, 1, 1, 3)
    assert display[:, 0, 0, 0].tolist() == [0, round(MEAN * 255), 255]


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_learn_repeat_and_have_the_layer_that_the_stride_says(network: str) -> None:
    data = planted_images(96, seed=10, noise=0.02, dropped=0)
    first, again = (train(untrained(network, 1), data, epochs=1, seed=1) for _ in range(2))
    assert not first.training
    for a, b in zip(first.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    maps = saliency_maps(first, data.images[:2], data.target[:2, None], target_layer=TARGET_LAYER, size="layer")
    assert maps["case"].shape == (2, 1, SIDE // STRIDE, SIDE // STRIDE)
