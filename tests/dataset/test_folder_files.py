"""What lies in a folder of images: pictures are found whatever they are called, and what is left out is named."""

import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from case_monitor.dataset import load_split, prepare, read_image
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.domain.errors import CaseMonitorError, DataError
from case_monitor.settings import ImageFolderSplit, Preprocessing
from tests.dataset.test_load import all_of, noise

RGB = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
ORIENTATION = 0x0112


@pytest.fixture
def val(tmp_path: Path) -> Path:
    """Two classes with a picture each."""
    for u, name in enumerate(("ant", "bee")):
        (tmp_path / "val" / name).mkdir(parents=True)
        noise(u).save(tmp_path / "val" / name / "0.png")
    return tmp_path / "val"


def read(path: Path) -> RawSplit:
    return load_split(ImageFolderSplit(kind="image_folder", path=path))


@pytest.mark.parametrize(
    "name", ["1.gif", "1.jfif", "1.JPG", "1.webp", "1.bmp", "1.tif", "1.ppm", "1", "img.001", "deeper/1.png"]
)
def test_pictures_of_every_usual_name_are_found(val: Path, name: str) -> None:
    file = val / "bee" / name
    file.parent.mkdir(exist_ok=True)
    kinds = {".jfif": "JPEG", ".jpg": "JPEG", ".tif": "TIFF", "": "PNG", ".001": "PNG"}
    suffix = file.suffix.lower()
    noise(7).save(file, format=kinds.get(suffix, suffix[1:].upper()))
    raw = read(val)
    assert raw.sample_ids == ("ant/0.png", "bee/0.png", f"bee/{name}") if "/" not in name else True
    assert f"bee/{name}" in raw.sample_ids
    assert raw.notes == ()
    assert all_of(prepare(raw, ("ant", "bee"), RGB)[1]).shape == (3, 3, 6, 6)


def test_what_is_left_out_is_counted_and_named(val: Path) -> None:
    for name in ("labels.csv", "ant/Thumbs.db", "ant/notes", "bee/a.txt", "ant/page.eps", "bee/model.py"):
        (val / name).write_text("%!PS" if name.endswith("eps") else "no picture")
    (val / ".ipynb_checkpoints").mkdir()
    noise(3).save(val / ".ipynb_checkpoints" / "0.png")
    (val / "ant" / ".hidden").mkdir()
    (val / "bee" / "._0.png").write_bytes(b"\0\5\x16\7")
    raw = read(val)
    assert (raw.class_names, raw.sample_ids) == (("ant", "bee"), ("ant/0.png", "bee/0.png"))
    assert raw.notes == (
        "3 hidden files or folders of 'val' were left out: .ipynb_checkpoints, ant/.hidden, bee/._0.png.",
        "6 files that are no pictures of 'val' were left out: ant/Thumbs.db, ant/notes, ant/page.eps, ....",
    )


def test_a_folder_that_is_called_like_a_picture_holds_pictures(val: Path) -> None:
    (val / "bee" / "x.png").mkdir()
    noise(9).save(val / "bee" / "x.png" / "1.png")
    assert read(val).sample_ids == ("ant/0.png", "bee/0.png", "bee/x.png/1.png")


def test_two_ways_to_write_a_class_are_not_two_classes(val: Path) -> None:
    for name in ("caf\u00e9", "cafe\u0301"):
        (val / name).mkdir()
        noise(len(name)).save(val / name / "0.png")
    with pytest.raises(DataError, match=r"split 'val': class names that differ were expected, two ways to write"):
        read(val)


def a_pipe(file: Path) -> None:
    os.mkfifo(file)


def a_device(file: Path) -> None:
    file.symlink_to("/dev/zero")


def a_dangling_link(file: Path) -> None:
    file.symlink_to("nowhere.png")


def a_link_to_itself(file: Path) -> None:
    file.symlink_to(file.name)


def nothing(file: Path) -> None:
    file.touch()


def a_lie(file: Path) -> None:
    file.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n")


def half_of_one(file: Path) -> None:
    noise(1, (64, 64, 3)).save(file)
    file.write_bytes(file.read_bytes()[:200])


def a_bomb(file: Path) -> None:
    """A PNG that announces 60,000 x 60,000 pixels."""
    head = b"IHDR" + (60_000).to_bytes(4) * 2 + bytes([8, 2, 0, 0, 0])
    data = b"IDAT" + zlib.compress(bytes(1000))
    chunks = (len(c[4:]).to_bytes(4) + c + zlib.crc32(c).to_bytes(4) for c in (head, data, b"IEND"))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))


def two_frames(file: Path) -> None:
    noise(1).save(file, format="GIF", save_all=True, append_images=[noise(2)])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (a_pipe, "a regular file was expected, a pipe or device came"),
        (a_device, "a regular file was expected, a pipe or device came"),
        (a_dangling_link, "a file was expected, No such file or directory came"),
        (a_link_to_itself, "a file was expected, Too many levels of symbolic links came"),
        (nothing, "cannot be read"),
        (a_lie, "cannot be read"),
        (half_of_one, "cannot be read"),
        (a_bomb, "cannot be read"),
        (two_frames, "one picture was expected, 2 came"),
    ],
)
def test_what_is_no_picture_is_one_line_with_its_name(val: Path, make: Callable[[Path], None], said: str) -> None:
    make(val / "bee" / "1.png")
    with pytest.raises(DataError, match=rf"^image 'bee/1.png' of split 'val':? .*{said}") as error:
        all_of(prepare(read(val), ("ant", "bee"), RGB)[1])
    assert "\n" not in str(error.value)


def test_a_file_that_is_too_large_is_not_read(val: Path) -> None:
    with (val / "bee" / "1.png").open("wb") as file:
        file.truncate(2 << 30)
    with pytest.raises(DataError, match=r"'bee/1\.png' of split 'val': a picture of up to 1 GiB was expected"):
        read(val)


def test_folders_that_lead_back_are_no_folders_without_end(val: Path) -> None:
    (val / "bee" / "again").symlink_to(val / "bee")
    with pytest.raises(DataError, match="each folder once was expected, bee/again is there by a link, too"):
        read(val)


def test_a_folder_without_classes_is_an_error(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(DataError, match=r"one folder per class was expected in .*, none came"):
        read(tmp_path)


def turned(orientation: int, kind: str) -> bytes:
    """A picture whose upper left is red, as a camera that was held otherwise stores it."""
    pixels = np.zeros((4, 6, 3), dtype=np.uint8)
    pixels[0, 0] = 255
    exif, file = Image.Exif(), io.BytesIO()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(file, format=kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {}))
    return file.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize(
    ("orientation", "corner"),
    [(1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (5, (0, 0)), (6, (0, -1)), (7, (-1, -1)), (8, (-1, 0))],
)
def test_a_picture_is_turned_where_that_is_asked_for(
    tmp_path: Path, orientation: int, corner: tuple[int, int], kind: str
) -> None:
    """Where the stored upper left comes to lie, by the standard: 6 is a quarter turn clockwise."""
    (tmp_path / "val" / "ant").mkdir(parents=True)
    (tmp_path / "val" / "ant" / f"0.{kind.lower()}").write_bytes(turned(orientation, kind))
    raw = read(tmp_path / "val")
    [plain], [ignored], [upright] = (
        all_of(prepare(raw, ("ant",), RGB.model_copy(update={"exif": exif}))[1]) for exif in (None, "ignore", "apply")
    )
    assert torch.equal(plain, ignored)
    assert plain[0, 0, 0] == 1
    assert upright[0][corner] == 1
    assert upright[0].sum() == 1
    assert upright.shape[1:] == ((4, 6) if orientation < 5 else (6, 4))
    alone = read_image(tmp_path / "val" / "ant" / f"0.{kind.lower()}")  # as `explain` reads it
    assert torch.equal(all_of(prepare(alone, ("ant",), RGB.model_copy(update={"exif": "apply"}))[1])[0], upright)


def test_a_tiff_is_turned_by_who_reads_it(val: Path) -> None:
    """Pillow does, as torchvision's users get it: there is nothing left to choose, and nothing to say."""
    (val / "bee" / "1.tiff").write_bytes(turned(6, "TIFF"))
    raw = read(val)
    assert raw.turned == 0
    assert raw.images[2][0].size == (4, 6)


def test_nobody_saying_whether_pictures_are_turned_is_said(val: Path) -> None:
    (val / "bee" / "1.png").write_bytes(turned(6, "PNG"))
    raw = read(val)
    says = (
        "1 images of 'val' say that they are to be turned first (EXIF), and are not, as in torchvision: say "
        "preprocessing.exif: apply or ignore, as the model was trained."
    )
    assert prepare(raw, ("ant", "bee"), RGB)[0].notes == (says,)
    assert prepare(raw, ("ant", "bee"), RGB.model_copy(update={"exif": "ignore"}))[0].notes == ()


def test_what_was_stored_before_there_was_a_choice_is_of_the_same_split(val: Path) -> None:
    """The digest of a split whose preprocessing says nothing of EXIF is what it was; other choices are other splits."""
    raw = read(val)
    digests = [
        prepare(raw, ("ant", "bee"), RGB.model_copy(update={"exif": e}))[0].digest for e in (None, "ignore", "apply")
    ]
    assert len(set(digests)) == 3
    views = [RGB.model_copy(update={"exif": e}).field_of_view for e in (None, "apply")]
    assert views == ["whole", "whole, upright"]


def test_an_image_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(CaseMonitorError, match=r"a file was expected at .*, none is there"):
        read_image(tmp_path / "a.png")
