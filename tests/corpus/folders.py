"""Folders and archives that are none, or contradict the model."""

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from case_monitor.settings import (
    CifarSplit,
    ImageFolderSplit,
    NpzSplit,
    SplitSpec,
)
from tests.corpus.case import Case


def picture(seed: int) -> bytes:
    content = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


def _classes(*names: str, empty: tuple[str, ...] = ()) -> Callable[[Path], SplitSpec]:
    def build(place: Path) -> SplitSpec:
        for i, name in enumerate(names):
            (place / name).mkdir()
            (place / name / "1.png").write_bytes(picture(i))
        for name in empty:
            (place / name).mkdir()
        return ImageFolderSplit(kind="image_folder", path=place)

    return build


def _circle(place: Path) -> SplitSpec:
    (place / "b").mkdir()
    (place / "b" / "1.png").write_bytes(picture(1))
    (place / "b" / "again").symlink_to(place / "b")
    return ImageFolderSplit(kind="image_folder", path=place)


def _at(name: str, content: bytes | None = None) -> Callable[[Path], SplitSpec]:
    def build(place: Path) -> SplitSpec:
        if content is not None:
            (place / name).write_bytes(content)
        return ImageFolderSplit(kind="image_folder", path=place / name)

    return build


def folder_cases() -> list[Case]:
    numbers = tuple(map(str, range(11)))
    return [
        Case(what="no folder", build=_at("nowhere"), says="a directory with one folder per class was expected"),
        Case(
            what="a file for a folder", build=_at("x", b""), says="a directory with one folder per class was expected"
        ),
        Case(what="an empty folder", build=_classes(), says="one folder per class was expected"),
        Case(
            what="classes without any image", build=_classes(empty=("a", "b")), says="images were expected, none came"
        ),
        Case(what="a class without an image", build=_classes("a", empty=("b",)), says="1 of 2 classes", images=1),
        Case(what="folders that lead back", build=_circle, says="each folder once was expected"),
        Case(what="a class that the model lacks", build=_classes("a", "b", "c"), says="number of classes"),
        Case(what="a class too few", build=_classes("a"), says="number of classes"),
        Case(what="other classes", build=_classes("a", "c"), says="only the data set"),
        Case(
            what="names in two orders, of a model without names",
            build=_classes("B", "a"),
            says="sorted in several ways",
            class_names=None,
        ),
        Case(
            what="numbers in two orders, of a model without names",
            build=_classes(*numbers),
            says="'10' by their characters and '2'",
            class_names=None,
        ),
        Case(
            what="a model without names",
            build=_classes("a", "b"),
            says="Nobody has said which class each logit",
            images=2,
            class_names=None,
        ),
        Case(what="a hidden class", build=_classes("a", "b", ".c"), says="1 hidden files or folders", images=2),
    ]


def _arrays(**arrays: Any) -> Callable[[Path], SplitSpec]:
    def build(place: Path) -> SplitSpec:
        images = np.random.default_rng(0).integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)
        given = {"images": images, "labels": np.array([0, 1])} | arrays
        np.savez(place / "x.npz", **{name: array for name, array in given.items() if array is not None})
        return NpzSplit(kind="npz", path=place / "x.npz")

    return build


def _file(name: str, content: bytes) -> Callable[[Path], SplitSpec]:
    def build(place: Path) -> SplitSpec:
        (place / name).write_bytes(content)
        return NpzSplit(kind="npz", path=place / name)

    return build


def _announcing(shape: tuple[int, ...], *, deflated: bool = False) -> bytes:
    """An archive whose array is announced, and not there."""
    text = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED) as archive:
        archive.writestr("images.npy", head)
        labels = io.BytesIO()
        np.save(labels, np.array([0, 1]))
        archive.writestr("labels.npy", labels.getvalue())
    return content.getvalue()


def _half_an_archive() -> bytes:
    content = io.BytesIO()
    np.savez(content, images=np.zeros((2, 12, 12), np.uint8), labels=[0, 1])
    return content.getvalue()[:300]


def _single() -> bytes:
    content = io.BytesIO()
    np.save(content, np.zeros((2, 12, 12), np.uint8))
    return content.getvalue()


def archive_cases() -> list[Case]:
    objects = np.array([{"a": 1}, None], dtype=object)
    return [
        Case(
            what="an archive without labels",
            build=_arrays(labels=None),
            says="arrays 'images' and 'labels' were expected",
        ),
        Case(
            what="an archive of floats", build=_arrays(images=np.zeros((2, 12, 12), np.float64)), says="were expected"
        ),
        Case(
            what="an archive of images without height",
            build=_arrays(images=np.zeros((2, 12), np.uint8)),
            says="were expected",
        ),
        Case(what="an archive with a pickle", build=_arrays(labels=objects), says="objects that are pickles, came"),
        Case(
            what="labels of another number",
            build=_arrays(labels=np.array([0])),
            says="integer labels (2,) were expected",
        ),
        Case(
            what="labels that are floats",
            build=_arrays(labels=np.array([0.0, 1.0])),
            says="integer labels (2,) were expected",
        ),
        Case(what="a label below 0", build=_arrays(labels=np.array([0, -1])), says="labels in 0.."),
        Case(
            what="a label without a class",
            build=_arrays(labels=np.array([0, 5]), class_names=["a", "b"]),
            says="labels in 0..1 were expected",
        ),
        Case(what="two images of one name", build=_arrays(ids=["x", "x"]), says="2 different ids were expected"),
        Case(
            what="an archive without an image",
            build=_arrays(images=np.zeros((0, 12, 12), np.uint8), labels=np.zeros(0, np.int64)),
            says="images were expected, none came",
        ),
        Case(
            what="no archive",
            build=lambda place: NpzSplit(kind="npz", path=place / "x.npz"),
            says="a NumPy archive (.npz) was expected",
        ),
        Case(what="text for an archive", build=_file("x.npz", b"text"), says="text, or objects"),
        Case(
            what="half an archive", build=_file("x.npz", _half_an_archive()), says="a NumPy archive (.npz) was expected"
        ),
        Case(what="one array for an archive", build=_file("x.npz", _single()), says="a single array came"),
        Case(
            what="an archive that announces 273 TiB",
            build=_file("x.npz", _announcing((10**8, 1000, 1000, 3))),
            says="a NumPy archive (.npz) was expected",
        ),
        Case(
            what="the same, compressed",
            build=_file("x.npz", _announcing((10**8, 1000, 1000, 3), deflated=True)),
            says="a NumPy archive (.npz) was expected",
        ),
        Case(
            what="CIFAR that is not there",
            build=lambda place: CifarSplit(kind="cifar10", path=place),
            says="the files of cifar10 were expected",
        ),
    ]
