"""What people have marked in images: masks and boxes, brought to where the model sees the object."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from case_monitor.dataset import load_split, prepare
from case_monitor.dataset.objects import mask_name, read_objects
from case_monitor.dataset.prepared_images import PreparedImages
from case_monitor.domain.errors import DataError
from case_monitor.settings import ImageFolderSplit, NpzSplit, Preprocessing

PLAIN = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
BOX = (4, 2, 14, 10)  # x0, y0, x1, y1


def picture(seed: int, size: tuple[int, int] = (30, 20)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8))


def mask(box: tuple[int, int, int, int] = BOX, size: tuple[int, int] = (30, 20), value: int = 255) -> Image.Image:
    array = np.zeros((size[1], size[0]), dtype=np.uint8)
    array[box[1] : box[3], box[0] : box[2]] = value
    return Image.fromarray(array)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pictures a/0.jpg, a/1.png, b/0.png, and masks of the first and the last."""
    for seed, name in enumerate(("a/0.jpg", "a/1.png", "b/0.png")):
        for folder in ("val", "masks"):
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
        picture(seed).save(tmp_path / "val" / name)
    mask().save(tmp_path / "masks" / "a" / "0.png")
    mask((0, 0, 30, 5), value=1).save(tmp_path / "masks" / "b" / "0.png")
    return tmp_path


def prepared(data: Path, objects: str | None = "masks", preprocessing: Preprocessing = PLAIN) -> PreparedImages:
    where = None if objects is None else data / objects
    raw = load_split(ImageFolderSplit(kind="image_folder", path=data / "val", objects=where))
    return prepare(raw, ("a", "b"), preprocessing)[1]


def marked(source: PreparedImages, *indices: int) -> np.ndarray:
    found = source.objects(indices)
    assert found is not None
    assert found.dtype == torch.bool
    return found.numpy()


def test_masks_are_of_the_images_of_their_name(data: Path) -> None:
    found = marked(prepared(data), 2, 0, 1)
    assert found.shape == (3, 20, 30)
    assert found[0].sum() == 5 * 30
    assert found[1, 2:10, 4:14].all()
    assert found[1].sum() == 80
    assert not found[2].any()
    assert marked(prepared(data)).shape[0] == 0


def test_boxes_are_of_the_pixels_between_their_corners(data: Path) -> None:
    rows = ["image,x0,y0,x1,y1", "a/0.jpg,4,2,14,10", "b/0.png,0,0,1.5,1", "b/0.png,29,19,30,20", "c/9.png,0,0,1,1"]
    (data / "boxes.csv").write_text("\n".join(rows))
    found = marked(prepared(data, "boxes.csv"), 0, 1, 2)
    assert (found[0] == marked(prepared(data), 0)[0]).all()
    assert not found[1].any()
    assert np.argwhere(found[2]).tolist() == [[0, 0], [0, 1], [19, 29]]


@pytest.mark.parametrize("crop", [12, (8, 20), (40, 44)])
def test_masks_lie_where_the_object_comes_to_lie(data: Path, crop: int | tuple[int, int]) -> None:
    """A picture of the mask, prepared like any other, is bright exactly there: but where it is resampled."""
    preprocessing = PLAIN.model_copy(update={"crop": crop})
    Image.merge("RGB", [mask()] * 3).save(data / "val" / "a" / "1.png")
    source = prepared(data, preprocessing=preprocessing)
    [image] = next(source.batches([1], 1))
    assert (marked(source, 0)[0] == (image[0] > 0).numpy()).all()


@pytest.mark.parametrize("resize", [40, 9, 7])
def test_masks_are_resized_like_the_image(tmp_path: Path, resize: int) -> None:
    """Where a picture of the mask is more than half bright: not shifted, however small it becomes."""
    for folder in ("val/a", "val/b", "masks/a"):
        (tmp_path / folder).mkdir(parents=True)
    large = mask((41, 13, 128, 92), (200, 110))
    large.save(tmp_path / "masks" / "a" / "0.png")
    Image.merge("RGB", [large] * 3).save(tmp_path / "val" / "a" / "0.png")
    picture(0, (200, 110)).save(tmp_path / "val" / "b" / "0.png")
    source = prepared(tmp_path, preprocessing=PLAIN.model_copy(update={"resize": resize, "crop": resize}))
    [image] = next(source.batches([0], 1))
    assert (marked(source, 0)[0] != (image[0] > 0).numpy()).sum() <= 0.02 * resize**2


def test_an_object_with_gaps_does_not_vanish(tmp_path: Path) -> None:
    for folder in ("val/a", "val/b", "masks/a"):
        (tmp_path / folder).mkdir(parents=True)
    array = np.full((80, 80), 255, dtype=np.uint8)
    array[::4, ::4] = 0  # where the nearest pixel would be looked for
    Image.fromarray(array).save(tmp_path / "masks" / "a" / "0.png")
    for folder in "ab":
        picture(ord(folder), (80, 80)).save(tmp_path / "val" / folder / "0.png")
    source = prepared(tmp_path, preprocessing=PLAIN.model_copy(update={"resize": 20}))
    assert marked(source, 0).all()


@pytest.mark.parametrize(("exif", "seen"), [("apply", (30, 20)), ("ignore", (20, 30))])
def test_masks_are_of_images_as_they_are_seen(data: Path, exif: str, seen: tuple[int, int]) -> None:
    exif_data = Image.Exif()
    exif_data[0x0112] = 6
    picture(7, (30, 20)).save(data / "val" / "a" / "0.jpg", exif=exif_data)
    source = prepared(data, preprocessing=PLAIN.model_copy(update={"exif": exif}))
    if exif == "ignore":
        assert marked(source, 0).shape == (1, *seen)
        return
    with pytest.raises(DataError, match=r"the mask of image 'a/0.jpg': 20 x 30 pixels were expected, .* 30 x 20 came"):
        source.objects([0])
    mask(size=(20, 30)).save(data / "masks" / "a" / "0.png")
    assert marked(prepared(data, preprocessing=PLAIN.model_copy(update={"exif": exif})), 0).shape == (1, *seen)


def test_of_an_archive_they_are_called_by_its_ids(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 255, (2, 20, 30, 3)).astype(np.uint8)
    np.savez(tmp_path / "val.npz", images=images, labels=[0, 1])
    (tmp_path / "masks").mkdir()
    mask().save(tmp_path / "masks" / "000001.png")
    raw = load_split(NpzSplit(kind="npz", path=tmp_path / "val.npz", objects=tmp_path / "masks"))
    assert "Objects are marked in 1 of 2 images of 'val.npz'." in raw.notes or "1 of 2 images" in " ".join(raw.notes)
    assert marked(prepare(raw, ("a", "b"), PLAIN)[1], 1, 0).sum((1, 2)).tolist() == [80, 0]


@pytest.mark.parametrize(
    ("name", "called"),
    [("a/x.JPG", "a/x.png"), ("x.tif", "x.png"), ("x.dcm", "x.png"), ("s_0.5", "s_0.5.png"), ("000001", "000001.png")],
)
def test_what_masks_are_called(name: str, called: str) -> None:
    assert mask_name(name) == called


def test_a_mask_is_of_one_image(data: Path) -> None:
    picture(9).save(data / "val" / "a" / "0.png")
    with pytest.raises(DataError, match=r"'a/0.png' is that of 'a/0.jpg' and of 'a/0.png'"):
        prepared(data)


@pytest.mark.parametrize("odd", ["", ".", "..", "x" * 5000, "/etc/passwd"])
def test_odd_names_of_images_have_no_mask(data: Path, odd: str) -> None:
    objects, said = read_objects(data / "masks", [odd, "a/0.jpg"], "val")
    assert list(objects.masks) == ["a/0.jpg"]
    assert said == "Objects are marked in 1 of 2 images of 'val'."


def test_what_is_marked_nowhere_is_not_counted(data: Path) -> None:
    Image.fromarray(np.zeros((20, 30), dtype=np.uint8)).save(data / "masks" / "a" / "1.png")
    names = ["a/0.jpg", "a/1.png", "b/0.png"]
    assert read_objects(data / "masks", names, "val")[1] == "Objects are marked in 2 of 3 images of 'val'."
    (data / "b.csv").write_text("image,x0,y0,x1,y1\na/0.jpg,1,1,2,2\n./a/0.jpg,1,1,2,2\n")
    said = read_objects(data / "b.csv", names, "val")[1]
    assert said == "Objects are marked in 1 of 3 images of 'val'; 1 rows of 'b.csv' are of images that are not in it."


def test_a_mask_that_changes_is_told(data: Path) -> None:
    source = prepared(data)
    mask((0, 0, 1, 1)).save(data / "masks" / "a" / "0.png")
    with pytest.raises(DataError, match=r"the mask of image 'a/0.jpg' has changed since the split was read"):
        source.objects([0])
    (data / "masks" / "a" / "0.png").unlink()
    with pytest.raises(DataError, match=r"the mask of image 'a/0.jpg' cannot be read: No such file"):
        source.objects([0])


def test_palettes_whose_first_colour_is_no_black_are_refused(data: Path) -> None:
    mask().convert("RGB").quantize(2).save(data / "masks" / "a" / "0.png")
    with pytest.raises(DataError, match=r"a palette whose first colour is black was expected, \(255, 255, 255\) came"):
        prepared(data)
    paletted = mask(value=1).convert("P")
    paletted.putpalette([0, 0, 0, 128, 0, 0])
    paletted.save(data / "masks" / "a" / "0.png")
    assert marked(prepared(data), 0).sum() == 80


def test_other_formats_called_png_are_refused(data: Path) -> None:
    mask().save(data / "masks" / "a" / "0.png", format="JPEG")
    with pytest.raises(DataError, match=r"the mask of image 'a/0.jpg' cannot be read as PNG"):
        prepared(data)


def test_who_marks_otherwise_has_another_split(data: Path) -> None:
    def digest(objects: str | None) -> str:
        where = None if objects is None else data / objects
        raw = load_split(ImageFolderSplit(kind="image_folder", path=data / "val", objects=where))
        return prepare(raw, ("a", "b"), PLAIN)[0].digest

    without, first = digest(None), digest("masks")
    mask((0, 0, 1, 1)).save(data / "masks" / "a" / "0.png")
    assert len({without, first, digest("masks")}) == 3
    assert digest(None) == without


def test_nothing_marked_is_none(data: Path) -> None:
    assert prepared(data, None).objects([0]) is None


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (
            ["image,x0,y0,x1", "a/0.jpg,1,1,2"],
            r"columns image, x0, y0, x1, y1 were expected in b.csv, image, x0, y0, x1",
        ),
        ([], r"columns .* were expected in b.csv, nothing came"),
        (
            ["image,x0,y0,x1,y1", "a/0.jpg,1,1,two,2"],
            r"line 2 of b.csv: four numbers were expected, \['1', '1', 'two', '2'\]",
        ),
        (["image,x0,y0,x1,y1", "a/0.jpg,1,1,2"], r"line 2 of b.csv: four numbers were expected"),
        (["image,x0,y0,x1,y1", "c.png,1,1,2,2"], r"boxes of its images were expected in b.csv, none .* like 'a/0.jpg'"),
    ],
)
def test_tables_that_are_none(data: Path, rows: list[str], expected: str) -> None:
    (data / "b.csv").write_text("\n".join(rows))
    with pytest.raises(DataError, match=expected):
        prepared(data, "b.csv")


@pytest.mark.parametrize("box", ["-1,0,2,2", "4,2,4,10", "nan,0,2,2", "0,0,inf,1"])
def test_boxes_that_are_none(data: Path, box: str) -> None:
    (data / "b.csv").write_text(f"image,x0,y0,x1,y1\na/0.jpg,{box}\n")
    with pytest.raises(DataError, match=r"line 2 of b.csv: 0 <= x0 < x1 and 0 <= y0 < y1 were expected"):
        prepared(data, "b.csv")


def test_boxes_outside_of_the_image(data: Path) -> None:
    (data / "b.csv").write_text("image,x0,y0,x1,y1\na/0.jpg,4,2,31,10\n")
    with pytest.raises(DataError, match=r"a box of image 'a/0.jpg': one inside of 30 x 20 was expected, \("):
        prepared(data, "b.csv").objects([0])


def test_masks_that_are_none(data: Path) -> None:
    with pytest.raises(DataError, match=r"a folder of masks or a CSV file was expected at .*nowhere, none is there"):
        prepared(data, "nowhere")
    (data / "empty").mkdir()
    with pytest.raises(DataError, match=r"none is there; that of 'a/0.jpg' would be called 'a/0.png'"):
        prepared(data, "empty")
    Image.merge("RGB", [mask()] * 3).save(data / "masks" / "b" / "0.png")
    with pytest.raises(DataError, match=r"the mask of image 'b/0.png': one channel was expected, mode RGB came"):
        prepared(data)
    (data / "masks" / "b" / "0.png").write_text("no picture")
    with pytest.raises(DataError, match=r"the mask of image 'b/0.png' cannot be read"):
        prepared(data)
