"""Validation splits of every kind: real files, real pickles, real MLflow artifacts."""

import gc
import hashlib
import pickle
import struct
import sys
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from torchvision.datasets import CIFAR10

from case_monitor.dataset import PreparedImages, RawSplit, load_split, prepare
from case_monitor.domain.errors import ConfigError, DataError
from case_monitor.evidence.mlflow_run import local_artifacts
from case_monitor.measuring_process.local import LocalPlace, LocalSplit
from case_monitor.registry.split_artifact import open_split
from case_monitor.settings import ArtifactSplit, CifarSplit, FunctionSplit, ImageFolderSplit, NpzSplit, Preprocessing

RGB = Preprocessing(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
GREY = Preprocessing(mean=(0.0,), std=(1.0,))
RED = (255, 0, 0)


def folder(path: Path) -> RawSplit:
    return load_split(ImageFolderSplit(kind="image_folder", path=path))


def npz(path: Path) -> RawSplit:
    return load_split(NpzSplit(kind="npz", path=path))


def function(name: str, **arguments: Any) -> RawSplit:
    return load_split(FunctionSplit(kind="function", function=f"tests.dataset.test_load:{name}", arguments=arguments))


def all_of(source: PreparedImages, batch_size: int = 4) -> Tensor:
    return torch.cat(list(source.batches(range(len(source.sample_ids)), batch_size)))


def write_images(path: Path, content: dict[str, Sequence[Image.Image]]) -> Path:
    for class_name, images in content.items():
        (path / class_name).mkdir(parents=True)
        for i, image in enumerate(images):
            image.save(path / class_name / f"{i}.png")
    return path


def noise(seed: int, size: tuple[int, ...] = (6, 6, 3)) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, size, dtype=np.uint8))


def png_of_48_bits(value: int) -> bytes:
    """One pixel, three channels of 16 bits, which Pillow does not write."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0))
    pixel = chunk(b"IDAT", zlib.compress(b"\0" + struct.pack(">3H", *[value] * 3)))
    return b"\x89PNG\r\n\x1a\n" + head + pixel + chunk(b"IEND", b"")


def write_npz(path: Path, **changes: Any) -> Path:
    rng = np.random.default_rng(0)
    content = {
        "images": rng.integers(0, 255, (6, 5, 5, 3), dtype=np.uint8),
        "labels": np.array([0, 1, 2, 0, 1, 2]),
        "class_names": np.array(["a", "b", "c"]),
    } | changes
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{key: value for key, value in content.items() if value is not None})
    return path


@pytest.fixture
def animals(tmp_path: Path) -> Path:
    return write_images(tmp_path / "val", {"cat": [noise(1), noise(2)], "dog": [noise(3)], "emu": [noise(4)]})


class TestImageFolder:
    def test_names_labels_and_ids_come_from_the_folders(self, animals: Path) -> None:
        raw = folder(animals)
        assert (raw.name, raw.class_names) == ("val", ("cat", "dog", "emu"))
        assert raw.sample_ids == ("cat/0.png", "cat/1.png", "dog/0.png", "emu/0.png")
        assert raw.labels.tolist() == [0, 0, 1, 2]

    def test_pixels_arrive_scaled_and_normalised(self, animals: Path) -> None:
        _, source = prepare(folder(animals), None, Preprocessing(mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 2.0)))
        stored = torch.from_numpy(np.array(noise(3))).permute(2, 0, 1) / 255
        expected = (stored - torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1)) / torch.tensor([0.5, 0.25, 2]).view(3, 1, 1)
        torch.testing.assert_close(next(source.batches([2], 1))[0], expected)

    @pytest.mark.parametrize(
        "image",
        [
            Image.new("RGB", (4, 4), RED),
            Image.new("RGBA", (4, 4), (*RED, 255)),
            Image.new("RGB", (4, 4), RED).convert("P", palette=Image.Palette.ADAPTIVE),
        ],
        ids=["rgb", "rgba", "palette"],
    )
    def test_every_mode_gives_the_same_rgb(self, tmp_path: Path, image: Image.Image) -> None:
        _, source = prepare(folder(write_images(tmp_path / "val", {"a": [image]})), None, RGB)
        expected = torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4)
        torch.testing.assert_close(all_of(source), expected)

    @pytest.mark.parametrize("suffix", ["png", "tiff"])
    @pytest.mark.parametrize(
        ("image", "problem"),
        [
            (Image.fromarray(np.full((4, 4), 51 * 257, np.uint16)), "8 bits a channel were expected, mode I;16 came"),
            (Image.fromarray(np.full((4, 4), 51 << 16, np.int32)), "8 bits a channel were expected, mode I"),
            (Image.fromarray(np.full((4, 4), 0.2, np.float32)), "8 bits a channel were expected, mode F came"),
            (Image.new("RGBA", (4, 4), (*RED, 0)), r"transparent pixels came \(mode RGBA\); save it as RGB"),
            (Image.new("LA", (4, 4), (9, 254)), r"transparent pixels came \(mode LA\)"),
        ],
        ids=["16 bits", "32 bits", "floats", "transparent", "grey, transparent"],
    )
    def test_what_would_be_another_picture_in_rgb_is_refused(
        self, tmp_path: Path, image: Image.Image, problem: str, suffix: str
    ) -> None:
        if image.mode in {"I", "F"} and suffix == "png":
            pytest.skip("PNG holds neither")
        write_images(tmp_path / "val", {"a": [Image.new("RGB", (4, 4), RED)]})
        image.save(tmp_path / "val" / "a" / f"1.{suffix}")
        with pytest.raises(DataError, match=rf"^image 'a/1\.{suffix}' of split 'val': .*{problem}.*trained on"):
            prepare(folder(tmp_path / "val"), None, RGB)

    def test_a_transparent_palette_is_refused_and_an_opaque_one_is_not(self, tmp_path: Path) -> None:
        palette = Image.new("RGB", (4, 4), RED).convert("P", palette=Image.Palette.ADAPTIVE)
        (tmp_path / "val" / "a").mkdir(parents=True)
        palette.save(tmp_path / "val" / "a" / "0.png", transparency=255)  # a colour that no pixel has
        assert folder(tmp_path / "val").sample_ids == ("a/0.png",)
        palette.save(tmp_path / "val" / "a" / "1.png", transparency=palette.getpixel((0, 0)))
        with pytest.raises(DataError, match=r"^image 'a/1\.png' of split 'val': an opaque picture was expected"):
            folder(tmp_path / "val")

    def test_how_many_more_there_are_is_said(self, tmp_path: Path) -> None:
        deep = [Image.fromarray(np.full((4, 4), u, np.uint16)) for u in range(3)]
        with pytest.raises(DataError, match=r"^image 'a/0\.png' .* \(2 other images of the split"):
            prepare(folder(write_images(tmp_path / "val", {"a": deep})), None, RGB)

    def test_sixteen_bits_in_three_channels_are_the_upper_eight(self, tmp_path: Path) -> None:
        """So Pillow reads them; nothing is cut off, and it is said."""
        (tmp_path / "val" / "a").mkdir(parents=True)
        (tmp_path / "val" / "a" / "0.png").write_bytes(png_of_48_bits(51 * 257))
        split, images = prepare(folder(tmp_path / "val"), None, RGB)
        torch.testing.assert_close(all_of(images), torch.full((1, 3, 1, 1), 0.2))
        assert any(
            "1 images of 'val' have 16 bits a channel, of which Pillow takes the upper 8" in n for n in split.notes
        )

    def test_a_grey_image_becomes_rgb_for_an_rgb_model(self, tmp_path: Path) -> None:
        raw = folder(write_images(tmp_path / "val", {"a": [Image.new("L", (4, 4), 51)]}))
        torch.testing.assert_close(all_of(prepare(raw, None, RGB)[1]), torch.full((1, 3, 4, 4), 0.2))

    def test_an_rgb_image_becomes_grey_for_a_grey_model(self, tmp_path: Path) -> None:
        raw = folder(write_images(tmp_path / "val", {"a": [Image.new("RGB", (4, 4), (51, 51, 51))]}))
        torch.testing.assert_close(all_of(prepare(raw, None, GREY)[1]), torch.full((1, 1, 4, 4), 0.2))

    def test_targets_follow_the_models_order_of_classes(self, animals: Path) -> None:
        split, source = prepare(folder(animals), ("emu", "cat", "dog"), RGB)
        assert split.class_names == ("emu", "cat", "dog")
        assert source.target.tolist() == [1, 1, 2, 0]

    def test_an_empty_class_folder_is_a_class_without_images(self, animals: Path) -> None:
        (animals / "bee").mkdir()
        split, source = prepare(folder(animals), None, RGB)
        assert split.class_names == ("bee", "cat", "dog", "emu")
        assert source.target.tolist() == [1, 1, 2, 3]

    @pytest.mark.parametrize("num_workers", [0, 1])
    def test_a_corrupt_file_is_named_in_one_line(self, animals: Path, num_workers: int) -> None:
        (animals / "dog" / "0.png").write_bytes(b"no image")
        with pytest.raises(DataError, match=r"^image 'dog/0\.png' of split 'val' cannot be read: .*identif.*$"):
            all_of(prepare(folder(animals), None, RGB, num_workers)[1])

    def test_a_truncated_file_is_named(self, animals: Path) -> None:
        file = animals / "dog" / "0.png"
        file.write_bytes(file.read_bytes()[:60])
        with pytest.raises(DataError, match=r"'dog/0\.png'"):
            all_of(prepare(folder(animals), None, RGB)[1])

    def test_images_of_several_sizes_are_an_error_with_a_remedy(self, tmp_path: Path) -> None:
        raw = folder(write_images(tmp_path / "val", {"a": [noise(0), noise(1, (7, 6, 3))]}))
        with pytest.raises(DataError, match=r"\(3, 6, 6\) and \(3, 7, 6\) came; set preprocessing\.resize"):
            all_of(prepare(raw, None, RGB)[1])
        resized = Preprocessing(resize=4, crop=4, mean=RGB.mean, std=RGB.std)
        assert all_of(prepare(raw, None, resized)[1]).shape == (2, 3, 4, 4)

    def test_a_file_is_no_directory(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("x")
        with pytest.raises(DataError, match=r"a directory with one folder per class was expected at .*file"):
            folder(tmp_path / "file")

    def test_a_directory_without_folders_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="one folder per class was expected"):
            folder(tmp_path)

    def test_folders_without_images_are_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "cat").mkdir()
        with pytest.raises(DataError, match="images were expected, none came"):
            folder(tmp_path)


class TestCifar:
    @pytest.fixture
    def cifar(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The authors' format with 4 test images; torchvision's checksums are set to those of these files."""
        home = tmp_path / "cifar-10-batches-py"
        home.mkdir()
        pixels = np.random.default_rng(0).integers(0, 255, (4, 3072), dtype=np.uint8)
        names = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
        content: dict[str, Any] = {f"data_batch_{i}": {"data": pixels, "labels": [0] * 4} for i in range(1, 6)}
        content["test_batch"] = {"data": pixels, "labels": [3, 8, 0, 9]}
        content["batches.meta"] = {"label_names": names}
        sums = {}
        for name, entry in content.items():
            (home / name).write_bytes(pickle.dumps(entry))
            sums[name] = hashlib.md5((home / name).read_bytes()).hexdigest()
        monkeypatch.setattr(CIFAR10, "train_list", [[f"data_batch_{i}", sums[f"data_batch_{i}"]] for i in range(1, 6)])
        monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
        monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": sums["batches.meta"]})
        return tmp_path

    def test_the_test_images_are_read(self, cifar: Path) -> None:
        raw = load_split(CifarSplit(kind="cifar10", path=cifar))
        assert raw.labels.tolist() == [3, 8, 0, 9]
        assert raw.sample_ids[1] == "test-00001"
        assert raw.class_names is not None
        assert raw.class_names[9] == "truck"
        assert raw.digest[:16] == "7cf0afa6136542ae"  # as when evidence was first stored of it
        planes = np.random.default_rng(0).integers(0, 255, (4, 3072), dtype=np.uint8)[2].reshape(3, 32, 32)
        torch.testing.assert_close(
            next(prepare(raw, None, RGB)[1].batches([2], 1))[0], torch.from_numpy(planes).float() / 255
        )

    def test_a_changed_byte_is_an_error(self, cifar: Path) -> None:
        file = cifar / "cifar-10-batches-py" / "test_batch"
        file.write_bytes(file.read_bytes()[:-9] + b"x" + file.read_bytes()[-8:])
        with pytest.raises(DataError, match=r"test_batch has the MD5 sum .*: it is damaged, or another$"):
            load_split(CifarSplit(kind="cifar10", path=cifar))

    def test_a_missing_archive_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"files of cifar100 were expected in .*cifar-100-python; train is missing"):
            load_split(CifarSplit(kind="cifar100", path=tmp_path))


class TestNpz:
    def test_everything_in_the_archive_is_used(self, tmp_path: Path) -> None:
        raw = npz(write_npz(tmp_path / "val.npz", ids=np.array([f"scan-{i}" for i in range(6)])))
        assert (raw.name, raw.class_names, raw.sample_ids[5]) == ("val", ("a", "b", "c"), "scan-5")
        assert raw.labels.tolist() == [0, 1, 2, 0, 1, 2]
        assert all_of(prepare(raw, None, RGB)[1]).shape == (6, 3, 5, 5)

    def test_ids_and_class_names_may_be_left_out(self, tmp_path: Path) -> None:
        split, source = prepare(npz(write_npz(tmp_path / "val.npz", class_names=None)), None, RGB)
        assert split.class_names == ("0", "1", "2")
        assert source.sample_ids[5] == "000005"

    def test_texts_may_be_bytes(self, tmp_path: Path) -> None:
        assert npz(write_npz(tmp_path / "val.npz", class_names=np.array([b"a", b"b", b"c"]))).class_names == (
            "a",
            "b",
            "c",
        )

    @pytest.mark.parametrize("shape", [(2, 5, 7), (2, 5, 7, 1), (2, 1, 7, 1), (2, 5, 1)])
    def test_grey_images_keep_their_shape(self, tmp_path: Path, shape: tuple[int, ...]) -> None:
        images = np.random.default_rng(0).integers(0, 255, shape, dtype=np.uint8)
        raw = npz(write_npz(tmp_path / "val.npz", images=images, labels=np.array([0, 1]), class_names=None))
        expected = torch.from_numpy(images.reshape(2, 1, *shape[1:3])).float() / 255
        torch.testing.assert_close(all_of(prepare(raw, None, GREY)[1]), expected)

    def test_rgb_images_one_pixel_high_stay_rgb(self, tmp_path: Path) -> None:
        images = np.random.default_rng(0).integers(0, 255, (2, 1, 7, 3), dtype=np.uint8)
        raw = npz(write_npz(tmp_path / "val.npz", images=images, labels=np.array([0, 1]), class_names=None))
        expected = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        torch.testing.assert_close(all_of(prepare(raw, None, RGB)[1]), expected)

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"images": np.zeros((6, 5, 5, 3), np.float64)}, "uint8 were expected, .* of float64 came"),
            ({"images": np.zeros((6, 5, 5, 0), np.uint8)}, r"\(6, 5, 5, 0\) of uint8 came"),
            ({"images": np.zeros((6, 5), np.uint8)}, r"\(6, 5\) of uint8 came"),
            ({"images": np.uint8(3)}, r"\(\) of uint8 came"),
            ({"labels": np.array([0, 1, 2])}, r"integer labels \(6,\) were expected, \(3,\) of int64 came"),
            ({"labels": np.array([0.0] * 6)}, "of float64 came"),
            ({"labels": np.array([0, 1, 2, 0, 1, 3])}, r"labels in 0\.\.2 were expected, 0\.\.3 came"),
            ({"labels": np.array([0, 1, 2, 0, 1, -1])}, r"labels in 0\.\.2 were expected, -1\.\.2 came"),
            ({"labels": np.array([0, 1, 2, 0, 1, -1]), "class_names": None}, r"-1\.\.2 came"),
            ({"labels": None}, r"'images' and 'labels' were expected, \['class_names', 'images'\] came"),
            ({"ids": np.array(list("aabcde"))}, "6 different ids were expected, 5 came"),
            ({"ids": np.array(list("abc"))}, "6 different ids were expected, 3 came"),
            ({"images": np.zeros((0, 5, 5), np.uint8), "labels": np.zeros(0, int)}, "images were expected, none came"),
        ],
    )
    def test_a_wrong_array_is_an_error(self, tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
        with pytest.raises(DataError, match=problem):
            npz(write_npz(tmp_path / "val.npz", **changes))

    def test_objects_are_refused_without_unpickling(self, tmp_path: Path) -> None:
        trap = np.array([Trap(tmp_path / "sprung")], dtype=object)
        path = write_npz(tmp_path / "val.npz", class_names=trap)
        assert not (tmp_path / "sprung").exists()
        with pytest.raises(DataError, match="objects that are pickles, came"):
            npz(path)
        assert not (tmp_path / "sprung").exists()
        with np.load(path, allow_pickle=True) as archive:  # the trap does work
            _ = archive["class_names"]
        assert (tmp_path / "sprung").exists()

    @pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04 cut off"], ids=["empty", "text", "cut"])
    def test_another_file_is_an_error(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "val.npz").write_bytes(content)
        with pytest.raises(DataError, match=r"a NumPy archive \(\.npz\) was expected at .*val\.npz"):
            npz(tmp_path / "val.npz")

    def test_a_damaged_archive_is_an_error(self, tmp_path: Path) -> None:
        path = write_npz(tmp_path / "val.npz")
        content = bytearray(path.read_bytes())
        content[200] ^= 255  # inside the images: the checksum of the zip is wrong
        path.write_bytes(content)
        with pytest.raises(DataError, match="CRC"):
            npz(path)

    def test_a_single_array_is_an_error(self, tmp_path: Path) -> None:
        np.save(tmp_path / "val.npy", np.zeros(3))
        with pytest.raises(DataError, match="a single array came"):
            npz(tmp_path / "val.npy")

    def test_a_missing_file_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"nowhere\.npz"):
            npz(tmp_path / "nowhere.npz")


class Trap:
    """Unpickling one leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


class Pairs(Dataset[Any]):
    def __init__(self, pairs: Sequence[tuple[Any, int]], classes: Sequence[str] | None = None) -> None:
        self.pairs = pairs
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.pairs[index]


def tensors(
    classes: Sequence[str] | None = None, labels: Sequence[int] = (0, 1, 1), value: int = 0, dtype: str = "float32"
) -> Pairs:
    images = torch.arange(3 * 3 * 2 * 2).view(3, 3, 2, 2).to(getattr(torch, dtype))
    images[2, 0, 0, 0] += value
    return Pairs(list(zip(images, labels, strict=True)), classes)


def pictures(side: int = 6) -> Pairs:
    return Pairs([(noise(i, (side, side, 3)), i % 2) for i in range(3)], ("cat", "dog"))


def flat() -> Pairs:
    return Pairs([(torch.arange(6.0).reshape(2, 3), 0)])


def standing() -> Pairs:
    return Pairs([(torch.arange(6.0).reshape(3, 2), 0)])


def painted(colour: str) -> Pairs:
    image = Image.new("P", (2, 2), 0)
    image.putpalette([255, 0, 0] if colour == "red" else [0, 0, 255])
    return Pairs([(image, 0)])


def deep() -> Pairs:
    return Pairs([(Image.fromarray(np.full((4, 4), 5000, np.uint16)), 0)])


class Augmented(Pairs):
    """Another picture, or label, of each at each reading, as from a training set."""

    def __init__(self, what: str, size: int) -> None:
        super().__init__([(noise(i), 0) for i in range(size)], ("cat", "dog"))
        self.what, self.readings = what, 0

    def __getitem__(self, index: int) -> tuple[Any, int]:
        self.readings += 1
        return noise(self.readings) if self.what == "image" else noise(index), self.readings % 7 % 2


def augmented(what: str, size: int = 120) -> Pairs:
    return Augmented(what, size)


def arrays() -> Pairs:
    return Pairs([(np.zeros((4, 4, 3), np.uint8), 0)])


def stream() -> Any:
    return iter([1])


class TestFunction:
    def test_tensors_pass_unchanged(self) -> None:
        split, source = prepare(function("tensors"), None, None)
        assert (split.name, split.class_names, split.size) == ("tensors", ("0", "1"), 3)
        torch.testing.assert_close(all_of(source), torch.arange(36.0).view(3, 3, 2, 2))

    def test_pictures_are_preprocessed(self) -> None:
        split, source = prepare(function("pictures", side=4), None, RGB)
        assert split.class_names == ("cat", "dog")
        expected = torch.from_numpy(np.array(noise(1, (4, 4, 3)))).permute(2, 0, 1) / 255
        torch.testing.assert_close(all_of(source)[1], expected)

    def test_integer_tensors_are_pictures_too(self) -> None:
        _, source = prepare(function("tensors", dtype="uint8"), None, RGB)
        torch.testing.assert_close(all_of(source), torch.arange(36.0).view(3, 3, 2, 2) / 255)

    def test_pictures_without_preprocessing_are_an_error(self) -> None:
        with pytest.raises(ConfigError, match="preprocessing: the model version was logged without it"):
            all_of(prepare(function("pictures"), None, None)[1])

    def test_other_images_are_an_error(self) -> None:
        with pytest.raises(DataError, match="PIL images or tensors were expected, ndarray came"):
            all_of(prepare(function("arrays"), None, RGB)[1])

    def test_pictures_of_more_bits_are_refused(self) -> None:
        with pytest.raises(DataError, match=r"^image '000000' of split 'deep': 8 bits .*, mode I;16 came"):
            all_of(prepare(function("deep"), None, RGB)[1])

    @pytest.mark.parametrize("dtype", ["int64", "int32", "int16"])
    def test_integers_of_unknown_scale_are_refused(self, dtype: str) -> None:
        with pytest.raises(DataError, match=rf"^image '000000' .*a tensor of uint8, .* one of torch\.{dtype} came"):
            all_of(prepare(function("tensors", dtype=dtype), None, RGB)[1])

    @pytest.mark.parametrize("what", ["image", "label"])
    @pytest.mark.parametrize("size", [1, 3, 120])
    def test_images_that_change_from_reading_to_reading_are_refused(self, what: str, size: int) -> None:
        said = rf"^image '\d+' of split 'augmented': the same {what} was expected at each reading, another came"
        with pytest.raises(DataError, match=rf"{said} .*leave random augmentation out"):
            function("augmented", what=what, size=size)

    def test_a_label_beyond_the_classes_is_an_error(self) -> None:
        with pytest.raises(DataError, match=r"labels in 0\.\.1 were expected, 0\.\.2 came"):
            function("tensors", classes=["a", "b"], labels=[0, 1, 2])

    def test_a_negative_label_is_an_error(self) -> None:
        with pytest.raises(DataError, match=r"-1\.\.1 came"):
            function("tensors", labels=[0, 1, -1])

    @pytest.mark.parametrize("name", ["tests.nowhere:f", "tests.dataset.test_load:nothing", "broken:f"])
    def test_a_function_that_is_not_there_is_a_configuration_error(
        self, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "broken.py").write_text("def f(:")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ConfigError, match=rf"^split\.function: {name} cannot be imported: \w+Error: .*$"):
            load_split(FunctionSplit(kind="function", function=name))

    @pytest.mark.parametrize(
        ("name", "arguments", "problem"),
        [
            ("tensors", {"colour": 1}, "TypeError: .*colour"),
            ("stream", {}, "TypeError: .*len"),
            ("pictures", {"side": -1}, "ValueError: .*negative"),
        ],
    )
    def test_a_function_that_gives_no_data_set_is_an_error(
        self, name: str, arguments: dict[str, Any], problem: str
    ) -> None:
        with pytest.raises(
            DataError, match=f"^split: tests.dataset.test_load:{name} gives no data set of .*{problem}.*$"
        ):
            function(name, **arguments)


def downloaded(spec: ArtifactSplit) -> RawSplit:
    opened = open_split(LocalPlace(), spec)
    assert isinstance(opened, LocalSplit)
    return opened.raw


class TestArtifact:
    @pytest.fixture
    def run_id(self, sqlite_tracking: str, tmp_path: Path) -> str:
        """A run with an archive, a folder of images and a text."""
        write_npz(tmp_path / "logged" / "val.npz")
        write_images(tmp_path / "logged" / "images", {"cat": [noise(1)], "dog": [noise(2)]})
        client = mlflow.MlflowClient(sqlite_tracking)
        name = f"splits-{tmp_path.name}"
        experiment = client.create_experiment(name, artifact_location=local_artifacts(sqlite_tracking, name))
        run_id = str(client.create_run(experiment).info.run_id)
        client.log_artifacts(run_id, str(tmp_path / "logged"))
        client.log_text(run_id, "hello", "notes.npz")
        client.log_text(run_id, "path,label\ncat/0.png,feline\n", "images/labels.csv")
        return run_id

    def test_an_archive_is_read(self, run_id: str, tmp_path: Path) -> None:
        raw = downloaded(ArtifactSplit(kind="mlflow_artifact", uri=f"runs:/{run_id}/val.npz", format="npz"))
        assert raw.digest == npz(tmp_path / "logged" / "val.npz").digest

    def test_a_folder_is_read_and_removed_when_it_is_no_longer_needed(self, run_id: str, tmp_path: Path) -> None:
        raw = downloaded(ArtifactSplit(kind="mlflow_artifact", uri=f"runs:/{run_id}/images", format="image_folder"))
        assert raw.digest == folder(tmp_path / "logged" / "images").digest
        place = Path(raw.images.pictures[0].path)  # type: ignore[attr-defined] # of files
        split, source = prepare(raw, None, RGB)
        del raw
        assert all_of(source).shape == (2, 3, 6, 6)
        assert split.name == "images"
        del source
        gc.collect()
        assert not place.exists()

    def test_a_table_inside_of_a_folder_is_read(self, run_id: str) -> None:
        spec = ArtifactSplit(
            kind="mlflow_artifact", uri=f"runs:/{run_id}/images", format="table", options={"path": "labels.csv"}
        )
        raw = downloaded(spec)
        assert (raw.sample_ids, raw.class_names) == (("cat/0.png",), ("feline",))

    @pytest.mark.parametrize("path", ["nothing.npz", "notes.npz"])
    def test_a_wrong_artifact_is_an_error_of_one_line(self, run_id: str, path: str) -> None:
        with pytest.raises(DataError, match=rf"^split: .*{path}.*$"):
            downloaded(ArtifactSplit(kind="mlflow_artifact", uri=f"runs:/{run_id}/{path}", format="npz"))

    def test_an_unknown_run_is_an_error_of_one_line(self, sqlite_tracking: str) -> None:
        with pytest.raises(DataError, match=r"^split: the MLflow artifact runs:/00/val\.npz cannot be downloaded: .+$"):
            downloaded(ArtifactSplit(kind="mlflow_artifact", uri="runs:/00/val.npz", format="npz"))


class TestClasses:
    def test_another_number_of_classes_is_said_from_both_sides(self, tmp_path: Path) -> None:
        raw = folder(write_images(tmp_path / "val", {str(i): [noise(i)] for i in range(9)}))
        with pytest.raises(DataError, match=r"^number of classes: the data set 'val' has 9, the model has 10$"):
            prepare(raw, [str(i) for i in range(10)], RGB)

    def test_a_folder_too_many_is_named(self, animals: Path) -> None:
        """Whether it is a class, only its owner knows; one that is hidden, as an editor leaves it behind, is none."""
        (animals / ".ipynb_checkpoints").mkdir()
        assert prepare(folder(animals), ("cat", "dog", "emu"), RGB)[0].class_names == ("cat", "dog", "emu")
        (animals / "old").mkdir()
        said = r"^number of classes: .* has 4, the model has 3; only the data set has \['old'\]$"
        with pytest.raises(DataError, match=said):
            prepare(folder(animals), ("cat", "dog", "emu"), RGB)

    def test_a_data_set_without_names_is_counted_by_its_labels(self, tmp_path: Path) -> None:
        raw = npz(write_npz(tmp_path / "val.npz", class_names=None))
        assert prepare(raw, ("x", "y", "z"), RGB)[0].class_names == ("x", "y", "z")
        with pytest.raises(DataError, match=r"has 3 \(by its highest label; .* no class names\), the model has 4"):
            prepare(raw, ("w", "x", "y", "z"), RGB)

    def test_other_names_are_said_from_both_sides(self, animals: Path) -> None:
        with pytest.raises(DataError, match=r"only the data set 'val' has \['emu'\], only the model has \['ant'\]"):
            prepare(folder(animals), ("ant", "cat", "dog"), RGB)

    def test_a_name_that_stands_twice_cannot_be_reordered(self, tmp_path: Path) -> None:
        raw = npz(write_npz(tmp_path / "val.npz", class_names=np.array(["a", "b", "b"])))
        assert prepare(raw, ("a", "b", "b"), RGB)[1].target.tolist() == [0, 1, 2, 0, 1, 2]
        with pytest.raises(DataError, match="'b' stands twice"):
            prepare(raw, ("b", "b", "a"), RGB)


Build = Callable[..., RawSplit]


class TestDigest:
    @pytest.fixture(params=["folder", "npz", "function"])
    def build(self, request: pytest.FixtureRequest, tmp_path: Path) -> Build:
        """A split of each kind, at a place, with one pixel, label or class name changed."""

        def build(place: str = "a", *, pixel: int = 0, label: int = 0, name: str = "cat") -> RawSplit:
            home = tmp_path / f"{place}-{pixel}-{label}-{name}"
            images = np.zeros((3, 2, 2, 3), np.uint8)
            images[2, 0, 0, 0] = pixel
            if request.param == "npz":
                labels, names = np.array([label, 1, 1]), np.array([name, "dog"])
                return npz(write_npz(home / "val.npz", images=images, labels=labels, class_names=names))
            if request.param == "function":
                return function("tensors", classes=[name, "dog"], labels=[label, 1, 1], value=pixel)
            content: dict[str, list[Image.Image]] = {name: [], "dog": []}
            for image, u in zip(images, [label, 1, 1], strict=True):
                content["dog" if u else name].append(Image.fromarray(image))
            return folder(write_images(home / "val", content))

        return build

    def test_the_same_content_elsewhere_has_the_same_digest(self, build: Build) -> None:
        first, second = prepare(build("a"), None, RGB)[0], prepare(build("b"), None, RGB)[0]
        assert first == second
        assert len(first.digest) == 64

    @pytest.mark.parametrize("change", [{"pixel": 1}, {"label": 1}, {"name": "cow"}])
    def test_a_change_changes_it(self, build: Build, change: dict[str, Any]) -> None:
        assert prepare(build(), None, RGB)[0].digest != prepare(build(**change), None, RGB)[0].digest

    @pytest.mark.parametrize(
        "other",
        [
            Preprocessing(mean=(0.1, 0.0, 0.0), std=RGB.std),
            Preprocessing(mean=RGB.mean, std=(1.0, 1.0, 2.0)),
            Preprocessing(mean=RGB.mean, std=RGB.std, resize=2),
            Preprocessing(mean=RGB.mean, std=RGB.std, crop=2),
            GREY,
            None,
        ],
    )
    def test_another_preprocessing_changes_it(self, build: Build, other: Preprocessing | None) -> None:
        raw = build()
        assert prepare(raw, None, RGB)[0].digest != prepare(raw, None, other)[0].digest

    def test_the_models_order_of_classes_changes_it(self, build: Build) -> None:
        raw = build()
        assert prepare(raw, ("cat", "dog"), RGB)[0].digest != prepare(raw, ("dog", "cat"), RGB)[0].digest

    def test_labels_that_mean_other_classes_change_it(self) -> None:
        """The same images and numbers, but 0 means dog: for the model's order of classes the targets differ."""
        first, second = (function("tensors", classes=names) for names in (["cat", "dog"], ["dog", "cat"]))
        assert prepare(first, ("cat", "dog"), RGB)[0].digest != prepare(second, ("cat", "dog"), RGB)[0].digest

    def test_the_shape_of_the_images_changes_it(self) -> None:
        assert function("flat").digest != function("standing").digest

    def test_the_palette_changes_it(self) -> None:
        assert function("painted", colour="red").digest != function("painted", colour="blue").digest

    def test_compression_does_not_change_it(self, tmp_path: Path) -> None:
        path = write_npz(tmp_path / "val.npz")
        with np.load(path) as archive:
            np.savez_compressed(tmp_path / "small.npz", **archive)
        assert path.read_bytes() != (tmp_path / "small.npz").read_bytes()
        assert npz(path).digest == npz(tmp_path / "small.npz").digest

    def test_an_id_changes_it(self, tmp_path: Path) -> None:
        first, second = (
            npz(write_npz(tmp_path / f"{text}.npz", ids=np.array(list(text)))) for text in ("abcdef", "abcdeg")
        )
        assert first.digest != second.digest


class TestBatches:
    @pytest.fixture
    def raw(self, tmp_path: Path) -> RawSplit:
        images = np.repeat(np.arange(7, dtype=np.uint8), 4).reshape(7, 2, 2)
        return npz(write_npz(tmp_path / "val.npz", images=images, labels=np.arange(7) % 3))

    def test_indices_come_in_the_order_asked_for(self, raw: RawSplit) -> None:
        _, source = prepare(raw, None, GREY)
        batches = list(source.batches([5, 0, 6, 2, 2], 2))
        assert [batch.shape for batch in batches] == [(2, 1, 2, 2), (2, 1, 2, 2), (1, 1, 2, 2)]
        assert (torch.cat(batches)[:, 0, 0, 0] * 255).round().tolist() == [5, 0, 6, 2, 2]
        assert batches[0].dtype == torch.float32

    def test_no_indices_give_no_batch(self, raw: RawSplit) -> None:
        assert list(prepare(raw, None, GREY)[1].batches([], 2)) == []

    def test_two_workers_give_the_same_batches(self, raw: RawSplit) -> None:
        alone = list(prepare(raw, None, GREY, num_workers=0)[1].batches(range(7), 2))
        shared = list(prepare(raw, None, GREY, num_workers=2)[1].batches(range(7), 2))
        assert len(alone) == len(shared) == 4
        assert all(torch.equal(a, b) for a, b in zip(alone, shared, strict=True))


class TestDisplay:
    def test_normalisation_is_undone(self, animals: Path) -> None:
        _, source = prepare(folder(animals), None, Preprocessing())
        shown = source.to_display(next(source.batches([3], 1)))
        assert shown.dtype == np.uint8
        assert np.array_equal(shown[0], np.array(noise(4)))

    def test_grey_is_shown_in_three_equal_channels(self, tmp_path: Path) -> None:
        images = np.arange(8, dtype=np.uint8).reshape(2, 2, 2) * 30
        raw = npz(write_npz(tmp_path / "val.npz", images=images, labels=np.array([0, 1]), class_names=None))
        _, source = prepare(raw, None, Preprocessing(mean=(0.3,), std=(0.2,)))
        assert np.array_equal(source.to_display(all_of(source)), np.repeat(images[..., None], 3, axis=3))

    def test_prepared_tensors_are_stretched_to_the_full_range(self) -> None:
        _, source = prepare(function("tensors"), None, None)
        shown = source.to_display(all_of(source))
        assert shown.shape == (3, 2, 2, 3)
        assert shown.min((1, 2, 3)).tolist() == [0, 0, 0]
        assert shown.max((1, 2, 3)).tolist() == [255, 255, 255]

    def test_a_constant_image_can_be_shown(self) -> None:
        _, source = prepare(function("tensors"), None, None)
        assert source.to_display(torch.full((1, 1, 2, 2), 3.0)).tolist() == np.zeros((1, 2, 2, 3)).tolist()


def test_reading_splits_leaves_the_module_path_alone() -> None:
    before = list(sys.path)
    function("tensors")
    assert sys.path == before
