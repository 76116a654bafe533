"""Each image counts once, and what is odd about the images is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from case_monitor.dataset import RawSplit, load_split, prepare
from case_monitor.settings import ImageFolderSplit, NpzSplit, Preprocessing

GREY = Preprocessing(mean=(0.0,), std=(1.0,))


def archive(path: Path, images: np.ndarray, labels: list[int], **more: object) -> RawSplit:
    np.savez(path / "val.npz", images=images.astype(np.uint8), labels=np.array(labels), **more)
    return load_split(NpzSplit(kind="npz", path=path / "val.npz"))


def ten_images() -> np.ndarray:
    return np.arange(10 * 16).reshape(10, 4, 4)


def test_ten_images_thirty_times_are_ten(tmp_path: Path) -> None:
    labels = [i % 2 for i in range(10)]
    raw = archive(tmp_path, np.tile(ten_images(), (30, 1, 1)), labels * 30)
    assert len(raw.sample_ids) == len(raw.contents) == 10
    assert raw.labels.tolist() == labels
    split, source = prepare(raw, None, GREY)
    assert split.size == 10
    assert split.notes == ("290 of the 300 images of 'val' repeat another one: each counts once.",)
    np.testing.assert_allclose(next(source.batches([9], 1))[0, 0].numpy() * 255, ten_images()[9], atol=1e-4)


def test_what_is_left_is_the_first_of_each(tmp_path: Path) -> None:
    images = ten_images()
    images[3] = images[1]
    raw = archive(tmp_path, images, [0] * 10)
    assert raw.sample_ids == tuple(f"{i:06d}" for i in range(10) if i != 3)


def test_different_images_stay_as_they_are(tmp_path: Path) -> None:
    raw = archive(tmp_path, ten_images(), [0, 1] * 5)
    assert (len(raw.sample_ids), raw.notes) == (10, ())


def test_an_image_of_two_classes_stays_in_both_and_is_said(tmp_path: Path) -> None:
    images = ten_images()
    images[1] = images[0]
    raw = archive(tmp_path, images, [0, 1] * 5)
    assert len(raw.sample_ids) == 10
    assert raw.notes == ("1 images of 'val' stand there under several classes: no model can be right about all.",)


def test_copies_of_files_count_once(tmp_path: Path) -> None:
    for name in ("a/1.png", "a/2.png", "b/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("L", (4, 4), 255 if name == "b/3.png" else 7).save(tmp_path / name)
    raw = load_split(ImageFolderSplit(kind="image_folder", path=tmp_path))
    assert raw.sample_ids == ("a/1.png", "b/3.png")
    assert raw.labels.tolist() == [0, 1]


def test_copies_in_another_encoding_count_once(tmp_path: Path) -> None:
    """What a model sees of a file is its pixels in RGB."""
    pixels = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8))
    (tmp_path / "a").mkdir()
    pixels.save(tmp_path / "a" / "0.png")
    pixels.save(tmp_path / "a" / "1.png", compress_level=1)
    pixels.convert("RGB").save(tmp_path / "a" / "2.png")
    pixels.save(tmp_path / "a" / "3.bmp")
    pixels.save(tmp_path / "a" / "4.tiff")
    pixels.save(tmp_path / "a" / "5.webp", lossless=True)
    pixels.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "a" / "6.png")  # of the same size
    pixels.resize((4, 16)).save(tmp_path / "a" / "7.png")
    raw = load_split(ImageFolderSplit(kind="image_folder", path=tmp_path))
    assert raw.sample_ids == ("a/0.png", "a/6.png", "a/7.png")
    assert raw.notes == (f"5 of the 8 images of {tmp_path.name!r} repeat another one: each counts once.",)


def test_classes_without_an_image_are_named(tmp_path: Path) -> None:
    raw = archive(tmp_path, ten_images(), [0, 2] * 5, class_names=["cat", "dog", "fox", "hen"])
    split, _ = prepare(raw, ("cat", "dog", "fox", "hen"), GREY)
    assert split.notes == ("2 of 4 classes have no image in 'val'; nothing is known of them: dog, hen.",)


def test_digests_tell_images_from_labels(tmp_path: Path) -> None:
    names = ["cat", "dog"]
    labels = [0, 1] * 5
    before = archive(tmp_path, ten_images(), labels, class_names=names)
    relabelled = archive(tmp_path, ten_images(), [1, *labels[1:]], class_names=names)
    assert relabelled.images_digest == before.images_digest
    assert relabelled.labels_digest != before.labels_digest
    shuffled = archive(tmp_path, ten_images()[::-1], labels[::-1], class_names=names, ids=[str(i) for i in range(10)])
    assert (shuffled.images_digest, shuffled.labels_digest) == (before.images_digest, before.labels_digest)
    others = archive(tmp_path, ten_images()[::-1], [1 - u for u in labels[::-1]], class_names=names[::-1])
    assert others.labels_digest == before.labels_digest  # the same classes by name
    changed = archive(tmp_path, ten_images() + 1, labels, class_names=names)
    assert changed.images_digest != before.images_digest


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        ({}, {"resize": 64}, True),  # the whole image, in other sizes
        ({"resize": 64, "crop": 56}, {"resize": 256, "crop": 224}, True),
        ({"resize": 64, "crop": 64}, {"resize": 64}, False),  # a square of it, and all of it
        ({"resize": 64, "crop": 56}, {"resize": 64, "crop": 48}, False),
        ({"crop": 56}, {"crop": 56}, True),
        ({"crop": 56}, {"resize": 56, "crop": 56}, False),
    ],
)
def test_fields_of_view(first: dict[str, int], second: dict[str, int], equal: bool) -> None:
    assert (Preprocessing(**first).field_of_view == Preprocessing(**second).field_of_view) is equal


@pytest.mark.parametrize(("shape", "kind"), [((8, 12, 3), np.uint8), ((8, 12), np.uint16)])
def test_pictures_that_are_turned_in_other_ways_are_no_repeats(tmp_path: Path, shape: Any, kind: Any) -> None:
    (tmp_path / "a").mkdir()
    pixels = Image.fromarray(np.random.default_rng(0).integers(0, 256, shape).astype(kind))
    for way in (1, 3, 6, 8, 8):
        exif = Image.Exif()
        exif[0x0112] = way
        pixels.save(tmp_path / "a" / f"{way}{len(list((tmp_path / 'a').iterdir()))}.png", exif=exif)
    raw = load_split(ImageFolderSplit(kind="image_folder", path=tmp_path))
    assert len(raw.sample_ids) == 4
    assert any("1 of the 5 images" in note for note in raw.notes)
