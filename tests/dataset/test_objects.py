"""What people have marked in images: masks and boxes, brought to where the model sees the object."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import v2

from case_monitor.dataset import load_split, prepare
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


def test_masks_are_resized_like_the_image(data: Path) -> None:
    preprocessing = PLAIN.model_copy(update={"resize": 40, "crop": 36, "interpolation": "bicubic"})
    Image.merge("RGB", [mask()] * 3).save(data / "val" / "a" / "1.png")
    source = prepared(data, preprocessing=preprocessing)
    [image] = next(source.batches([1], 1))
    here, seen = marked(source, 0)[0], (image[0] > 0).numpy()
    assert here.shape == seen.shape == (36, 36)
    assert (here != seen).mean() < 0.03  # a rim of one pixel
    nearest = v2.functional.resize(torch.from_numpy(np.asarray(mask()))[None], [40, 60], interpolation=0)
    assert (here == (v2.functional.center_crop(nearest, [36, 36])[0] > 0).numpy()).all()


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


@pytest.mark.parametrize("box", ["4,2,31,10", "-1,0,2,2", "4,2,4,10", "nan,0,2,2"])
def test_boxes_outside_of_the_image(data: Path, box: str) -> None:
    (data / "b.csv").write_text(f"image,x0,y0,x1,y1\na/0.jpg,{box}\n")
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
