"""NumPy archives."""

import hashlib
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from case_monitor.dataset.content_digest import content_digest
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.scales import Values, scale_of, why_no_values
from case_monitor.dataset.several_labels import Asked, asked_labels, sets_of_rows
from case_monitor.domain.arrays import IntArray
from case_monitor.domain.errors import DataError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.settings import NpzSplit

_DEEP = {"int16", "uint16", "int32", "float32"}
"""Kinds of numbers that a window maps."""


class _ArrayImages(Dataset[Any]):
    def __init__(self, images: npt.NDArray[Any], labels: IntArray) -> None:
        self._images, self._labels = images, labels

    def __getitem__(self, index: int) -> tuple[Image.Image | Tensor | Values, int]:
        return self._image(self._images[index]), int(self._labels[index])

    def _image(self, image: npt.NDArray[Any]) -> Image.Image | Tensor | Values:
        if image.dtype != np.uint8:
            return _values(image)
        if image.shape[2:] in {(), (1,), (3,)}:
            return Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image)
        return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))


def read_npz(spec: NpzSplit) -> RawSplit:
    """Read an archive, whole."""
    path = spec.path
    content = _read_arrays(path)
    missing = {"images", "labels"} - content.keys()
    if missing:
        msg = f"split {path.name}: arrays 'images' and 'labels' were expected, {sorted(content)} came"
        raise DataError(msg)
    images, labels = content["images"], content["labels"]
    images = images.astype(images.dtype.newbyteorder("="), copy=False)
    _check_arrays(path, images, labels)
    columns = labels.shape[1] if labels.ndim == 2 else None
    deep = images.dtype != np.uint8
    # Those of uint8 are called as they were when there were no others.
    about = [images.shape, str(images.dtype)] if deep else [images.shape]
    ids = _texts(content.get("ids", np.array([f"{i:06d}" for i in range(len(labels))])))
    if len(ids) != len(labels) or len(set(ids)) < len(ids):
        msg = f"split {path.name}: {len(labels)} different ids were expected, {len(set(ids))} came"
        raise DataError(msg)
    class_names = _texts(content["class_names"]) if "class_names" in content else None
    several = _asked(path, ids, labels, class_names) if labels.ndim == 2 else None
    if several is not None:
        kept = list(several.places)
        images, ids, labels = images[kept], tuple(ids[i] for i in kept), np.array(several.labels)
    labels = labels.astype(np.int64)
    return RawSplit(
        name=path.stem,
        images=_ArrayImages(images, labels),
        sample_ids=ids,
        labels=labels,
        also=several.also if several else (),
        class_names=class_names,
        columns=columns,
        digest=hashlib.sha256(json.dumps([*about, ids]).encode() + images.tobytes()).hexdigest(),
        contents=tuple(
            content_digest((str(image.dtype) if deep else "").encode() + image.tobytes()) for image in images
        ),
        scales=tuple(scale_of(_values(image)) if deep else None for image in images),
        notes=several.notes if several else (),
    )


def _asked(path: Path, ids: tuple[str, ...], labels: npt.NDArray[Any], class_names: tuple[str, ...] | None) -> Asked:
    """What images of several classes are asked, by labels (N, C)."""
    sets = sets_of_rows(labels, f"split {path.name}, labels")
    if class_names is not None and len(class_names) != labels.shape[1]:
        msg = f"split {path.name}: a name for each of {labels.shape[1]} columns of labels was expected"
        raise DataError(f"{msg}, {len(class_names)} came")
    return asked_labels(path.stem, ids, sets, class_names)


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        _require_memory(path)
        archive = np.load(path, allow_pickle=False)  # object arrays are pickles, so code
        if not isinstance(archive, np.lib.npyio.NpzFile):
            msg = "a single array came"
            raise ValueError(msg)
        with archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        # NumPy's own words on pickles tell people to load them.
        why = "text, or objects that are pickles, came" if "allow_pickle" in str(error) else short_message(error)
        raise DataError(f"split: a NumPy archive (.npz) was expected at {path}: {why}") from None


def _require_memory(path: Path) -> None:
    """See that what an archive holds, decompressed, has room: it is read whole."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if size > memory:
        msg = f"it holds {size >> 30} GiB, and this machine has {memory >> 30} GiB of memory; use image files"
        raise ValueError(msg)


def _texts(array: npt.NDArray[Any]) -> tuple[str, ...]:
    return tuple(array.astype(str).ravel().tolist())


def _values(image: npt.NDArray[Any]) -> Values:
    return Values(array=image if image.ndim == 3 else image[..., None], kind=f"values of {image.dtype}")


def _check_arrays(path: Path, images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
    kinds = {"uint8"} | _DEEP
    if str(images.dtype) not in kinds or images.ndim not in {3, 4} or 0 in images.shape[1:]:
        msg = f"split {path.name}: images (N, H, W) or (N, H, W, C) of {', '.join(sorted(kinds))} were expected"
        raise DataError(f"{msg}, {images.shape} of {images.dtype} came")
    of_one = labels.ndim == 1 and labels.dtype.kind in "iu"
    if labels.shape[:1] != images.shape[:1] or not (of_one or labels.ndim == 2):
        msg = f"split {path.name}: integer labels ({len(images)},) were expected"
        several = f"; of images of several classes, ({len(images)}, classes) of 0 and 1"
        raise DataError(f"{msg}, {labels.shape} of {labels.dtype} came{several}")
    problems = (why_no_values(_values(image)) for image in images)
    bad = next(((u, problem) for u, problem in enumerate(problems) if problem), None)
    if bad:
        msg = f"split {path.name}, image {bad[0]}: {bad[1]}"
        raise DataError(msg)
