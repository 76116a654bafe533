"""Images of more than 8 bits a channel, or of more than three channels: by what was said, never by a guess."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from case_monitor.dataset import RawSplit, load_split, prepare, read_image
from case_monitor.domain.errors import DataError
from case_monitor.settings import FunctionSplit, ImageFolderSplit, NpzSplit, Preprocessing
from tests.dataset.test_load import GREY, RGB, Pairs, all_of, noise

WINDOW = (-100.0, 400.0)
WINDOWED = Preprocessing(mean=(0.0,), std=(1.0,), window=WINDOW)


def folder(path: Path, **files: bytes | Image.Image) -> RawSplit:
    (path / "val" / "a").mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        file = path / "val" / "a" / name.replace("_", ".")
        file.write_bytes(content) if isinstance(content, bytes) else content.save(file)
    return load_split(ImageFolderSplit(kind="image_folder", path=path / "val"))


def archive(path: Path, images: np.ndarray) -> RawSplit:
    np.savez(path / "val.npz", images=images, labels=np.zeros(len(images), dtype=int))
    return load_split(NpzSplit(kind="npz", path=path / "val.npz"))


def by_hand(values: np.ndarray, low: float, high: float) -> torch.Tensor:
    """In Python's own numbers, one after the other."""
    shares = [min(max((float(v) - low) / (high - low), 0.0), 1.0) for v in values.ravel()]
    return torch.tensor(shares, dtype=torch.float32).view(1, 1, *values.shape)


VALUES = {
    "uint16": np.array([[0, 1, 350], [400, 4095, 65535]], np.uint16),
    "int32": np.array([[-70000, -100, -50], [0, 400, 2**31 - 1]], np.int32),
    "float32": np.array([[-1e9, -100, -0.25], [0.5, 399.5, 7e8]], np.float32),
}


@pytest.mark.parametrize("kind", VALUES)
def test_stored_values_become_shares_of_the_window(tmp_path: Path, kind: str) -> None:
    values = VALUES[kind]
    raw = folder(tmp_path, **{"0_tiff": Image.fromarray(values)})
    split, source = prepare(raw, ("a",), WINDOWED)
    torch.testing.assert_close(all_of(source), by_hand(values, *WINDOW), rtol=0, atol=1e-7)
    [note] = split.notes
    assert note.startswith("1 of 1 images of 'val' have values beyond preprocessing.window [-100.0, 400.0]")
    of_array = prepare(archive(tmp_path, values[None]), ("a",), WINDOWED)[1]
    assert torch.equal(all_of(of_array), all_of(source))


def test_a_png_of_16_bits(tmp_path: Path) -> None:
    raw = folder(tmp_path, **{"0_png": Image.fromarray(VALUES["uint16"])})
    window = Preprocessing(mean=(0.5, 0.5, 0.5), std=(0.5, 0.25, 1.0), window=(0, 65535))
    split, source = prepare(raw, ("a",), window)
    expected = (by_hand(VALUES["uint16"], 0, 65535) - 0.5) / torch.tensor([0.5, 0.25, 1.0]).view(1, 3, 1, 1)
    torch.testing.assert_close(all_of(source), expected)
    assert split.notes == ()
    alone = prepare(read_image(tmp_path / "val" / "a" / "0.png"), ("a",), window)[1]  # as `explain` reads it
    assert torch.equal(all_of(alone), all_of(source))


def test_what_is_shown_is_what_the_window_leaves(tmp_path: Path) -> None:
    source = prepare(folder(tmp_path, **{"0_tiff": Image.fromarray(VALUES["int32"])}), ("a",), WINDOWED)[1]
    assert source.to_display(all_of(source))[0, :, :, 0].tolist() == [[0, 0, 26], [51, 255, 255]]


def test_a_window_that_no_image_reaches_is_said(tmp_path: Path) -> None:
    images = {"0_tiff": Image.fromarray(np.full((2, 2), 5000, np.uint16)), "1_tiff": Image.fromarray(VALUES["uint16"])}
    [note] = prepare(folder(tmp_path, **images), ("a",), WINDOWED)[0].notes
    assert note == (
        "2 of 2 images of 'val' have values beyond preprocessing.window [-100.0, 400.0], which are clipped: all values "
        "are in 0..65535; 1 have no others and are of one colour."
    )


def test_a_deep_picture_is_turned_like_another(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn clockwise
    values = np.arange(6, dtype=np.uint16).reshape(2, 3) * 50
    (tmp_path / "val" / "a").mkdir(parents=True)
    Image.fromarray(values).save(tmp_path / "val" / "a" / "0.png", exif=exif)
    source = prepare(folder(tmp_path), ("a",), WINDOWED.model_copy(update={"exif": "apply"}))[1]
    torch.testing.assert_close(all_of(source), by_hand(np.rot90(values, -1), *WINDOW))


def test_resizing_is_of_the_windowed_values(tmp_path: Path) -> None:
    """Before the window, one value far beyond would spread over its neighbours."""
    values = np.array([[0, 0], [0, 30000]], np.int32)
    preprocessing = Preprocessing(mean=(0.0,), std=(1.0,), window=(0, 100), resize=1)
    source = prepare(folder(tmp_path, **{"0_tiff": Image.fromarray(values)}), ("a",), preprocessing)[1]
    torch.testing.assert_close(all_of(source), torch.full((1, 1, 1, 1), 0.25))


def of_white_zero(values: np.ndarray) -> bytes:
    """A TIFF whose least value is white, which Pillow does not write."""
    import io

    file = io.BytesIO()
    Image.fromarray(values).save(file, format="TIFF")
    content = file.getvalue()
    return content.replace(b"\x06\x01\x03\x00\x01\x00\x00\x00\x01", b"\x06\x01\x03\x00\x01\x00\x00\x00\x00")


def of_unsigned(values: np.ndarray) -> bytes:
    """The same of 32 bits without a sign."""
    import io

    file = io.BytesIO()
    Image.fromarray(values).save(file, format="TIFF")
    return file.getvalue().replace(b"\x53\x01\x03\x00\x01\x00\x00\x00\x02", b"\x53\x01\x03\x00\x01\x00\x00\x00\x01")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("0_tiff", Image.fromarray(np.array([[0, np.nan]], np.float32)), "finite values were expected, NaN"),
        ("0_tiff", Image.fromarray(np.array([[0, np.inf]], np.float32)), "finite values were expected, NaN"),
        ("0_tiff", of_white_zero(VALUES["uint16"]), "a TIFF whose least value is white came"),
        ("0_tiff", of_unsigned(np.array([[-5, 7]], np.int32)), r"values below 2 \*\* 31 were expected"),
        ("0_pgm", b"P5 2 1 4095\n\x0f\xff\x00\x00", "a PPM, whose values are stretched, came"),
        ("0_pgm", b"P2 2 1 4095\n4095 0\n", "a PPM, whose values are stretched, came"),
        ("0_jp2", Image.fromarray(VALUES["uint16"]), "a JPEG2000, whose values are stretched, came"),
        ("0_png", noise(1), r"more than 8 bits .* as preprocessing.window is \[-100.0, 400.0\], 8 bits came"),
    ],
)  # fmt: skip
def test_values_that_are_not_what_was_stored_are_refused(tmp_path: Path, name: str, content: Any, said: str) -> None:
    with pytest.raises(DataError, match=said):
        prepare(folder(tmp_path, **{name: content}), ("a",), WINDOWED)


def test_one_picture_of_8_bits_among_deep_ones_is_named(tmp_path: Path) -> None:
    raw = folder(tmp_path, **{"0_tiff": Image.fromarray(VALUES["uint16"]), "1_png": noise(1)})
    with pytest.raises(DataError, match=r"^image 'a/1\.png' .*, 8 bits came"):
        prepare(raw, ("a",), WINDOWED)
    with pytest.raises(DataError, match=r"^image 'a/0\.tiff' .* mode I;16 came, .*preprocessing\.window"):
        prepare(raw, ("a",), RGB)


def test_the_same_values_in_another_file_count_once(tmp_path: Path) -> None:
    values = VALUES["uint16"]
    raw = folder(tmp_path, **{"0_tiff": Image.fromarray(values), "1_png": Image.fromarray(values)})
    assert raw.sample_ids == ("a/0.tiff",)
    assert len(raw.scales) == 1


@pytest.mark.parametrize("window", [(1, 1), (2, 1), (0, float("inf")), (float("nan"), 1), (1,)])
def test_a_window_has_a_low_and_a_high_end(window: Any) -> None:
    with pytest.raises(ValidationError, match="window"):
        Preprocessing(window=window)


def test_a_window_is_another_split_and_none_the_same(tmp_path: Path) -> None:
    raw = archive(tmp_path, VALUES["uint16"][None])
    digests = {
        prepare(raw, ("a",), WINDOWED.model_copy(update={"window": w}))[0].digest for w in (WINDOW, (0.0, 400.0))
    }
    assert len(digests) == 2


def deep_values() -> Pairs:
    return Pairs([(Image.fromarray(VALUES["float32"]), 0)])


def nan_values() -> Pairs:
    return Pairs([(Image.fromarray(np.full((2, 2), np.nan, np.float32)), 0)])


def function(name: str) -> RawSplit:
    return load_split(FunctionSplit(kind="function", function=f"tests.dataset.test_scales:{name}"))


def test_pictures_of_a_function_have_a_window_too() -> None:
    torch.testing.assert_close(
        all_of(prepare(function("deep_values"), None, WINDOWED)[1]), by_hand(VALUES["float32"], *WINDOW)
    )
    with pytest.raises(DataError, match="finite values were expected"):
        all_of(prepare(function("nan_values"), None, WINDOWED)[1])


class TestArchives:
    @pytest.mark.parametrize("kind", ["uint8", "uint16", "float32"])
    @pytest.mark.parametrize("channels", [2, 4, 7])
    def test_any_number_of_channels(self, tmp_path: Path, kind: str, channels: int) -> None:
        images = np.random.default_rng(0).integers(0, 250, (2, 5, 6, channels)).astype(kind)
        mean, std = tuple(0.1 * c for c in range(channels)), tuple(0.5 + c for c in range(channels))
        window = None if kind == "uint8" else (0, 255)
        source = prepare(archive(tmp_path, images), None, Preprocessing(mean=mean, std=std, window=window))[1]
        shares = torch.from_numpy(images.astype(np.float32)).permute(0, 3, 1, 2) / 255
        expected = (shares - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)
        torch.testing.assert_close(all_of(source), expected)
        shown = source.to_display(all_of(source))
        first = images[..., :3] if channels > 3 else np.repeat(images[..., :1], 3, axis=3)
        assert np.array_equal(shown, first.astype(np.uint8))

    @pytest.mark.parametrize(
        ("came", "expected"), [(4, 3), (4, 1), (2, 3), (2, 1), (3, 4), (1, 4), (1, 2), (3, 2), (5, 4)]
    )
    @pytest.mark.parametrize("kind", ["uint8", "uint16"])
    def test_another_number_of_channels_is_no_broadcast(
        self, tmp_path: Path, came: int, expected: int, kind: str
    ) -> None:
        images = np.random.default_rng(0).integers(0, 255, (1, 4, 4, came)).astype(kind)
        window = None if kind == "uint8" else (0, 255)
        preprocessing = Preprocessing(mean=(0.5,) * expected, std=(1.0,) * expected, window=window)
        with pytest.raises(DataError, match=f"{expected} channels were expected, .*, {came} came"):
            all_of(prepare(archive(tmp_path, images), None, preprocessing)[1])

    def test_crop_and_resize_take_many_channels(self, tmp_path: Path) -> None:
        images = np.full((1, 8, 8, 5), 51, np.uint8)
        preprocessing = Preprocessing(mean=(0.0,) * 5, std=(1.0,) * 5, resize=6, crop=4)
        torch.testing.assert_close(
            all_of(prepare(archive(tmp_path, images), None, preprocessing)[1]), torch.full((1, 5, 4, 4), 0.2)
        )

    def test_values_without_a_window_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"^image '000000' .* values of uint16 came, whose scale is not known"):
            prepare(archive(tmp_path, VALUES["uint16"][None]), ("a",), GREY)

    def test_nan_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"split val\.npz, image 1: finite values were expected"):
            archive(tmp_path, np.array([[[0.0]], [[np.nan]]], np.float32))

    def test_the_kind_of_number_is_part_of_the_digest(self, tmp_path: Path) -> None:
        images = np.array([[[40000, 1], [2, 3]]], np.uint16)
        first, second = archive(tmp_path, images), archive(tmp_path, images.view(np.int16))
        assert first.digest != second.digest
        assert first.images_digest != second.images_digest
        assert archive(tmp_path, images.astype(">u2")).digest == first.digest


@pytest.mark.parametrize("mean", [(), (0.5, 0.5)])
def test_mean_and_std_are_of_one_length(mean: tuple[float, ...]) -> None:
    with pytest.raises(ValidationError, match="std: as many as mean, at least 1"):
        Preprocessing(mean=mean, std=(0.5,) * (len(mean) or 0) + ((0.5,) if mean else ()))


def test_a_picture_of_three_channels_is_none_of_four(tmp_path: Path) -> None:
    four = Preprocessing(mean=(0.5,) * 4, std=(0.5,) * 4)
    with pytest.raises(DataError, match=r"4 channels were expected, as many as preprocessing.mean has, 3 came"):
        all_of(prepare(folder(tmp_path, **{"0_png": noise(1)}), ("a",), four)[1])
