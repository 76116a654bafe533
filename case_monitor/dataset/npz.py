"""NumPy archives."""

import hashlib
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from torch.utils.data import Dataset

from case_monitor.dataset.raw_split import RawSplit, content_digest
from case_monitor.domain.arrays import IntArray
from case_monitor.domain.errors import DataError
from case_monitor.logs.foreign_errors import short_message


class _ArrayImages(Dataset[Any]):
    def __init__(self, images: npt.NDArray[np.uint8], labels: IntArray) -> None:
        self._images, self._labels = images, labels

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        image = self._images[index]
        return Image.fromarray(image[..., 0] if image.shape[2:] == (1,) else image), int(self._labels[index])


def read_npz(path: Path) -> RawSplit:
    """Read an archive, whole."""
    content = _read_arrays(path)
    missing = {"images", "labels"} - content.keys()
    if missing:
        msg = f"split {path.name}: arrays 'images' and 'labels' were expected, {sorted(content)} came"
        raise DataError(msg)
    images, labels = content["images"], content["labels"]
    _check_arrays(path, images, labels)
    labels = labels.astype(np.int64)
    ids = _texts(content.get("ids", np.array([f"{i:06d}" for i in range(len(labels))])))
    if len(ids) != len(labels) or len(set(ids)) < len(ids):
        msg = f"split {path.name}: {len(labels)} different ids were expected, {len(set(ids))} came"
        raise DataError(msg)
    return RawSplit(
        name=path.stem,
        images=_ArrayImages(images, labels),
        sample_ids=ids,
        labels=labels,
        class_names=_texts(content["class_names"]) if "class_names" in content else None,
        digest=hashlib.sha256(json.dumps([images.shape, ids]).encode() + images.tobytes()).hexdigest(),
        contents=tuple(content_digest(image.tobytes()) for image in images),
    )


def _read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    try:
        archive = np.load(path, allow_pickle=False)  # object arrays are pickles, so code
        if not isinstance(archive, np.lib.npyio.NpzFile):
            msg = "a single array came"
            raise ValueError(msg)
        with archive:
            return {key: archive[key] for key in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        msg = f"split: a NumPy archive (.npz) was expected at {path}: {short_message(error)}"
        raise DataError(msg) from None


def _texts(array: npt.NDArray[Any]) -> tuple[str, ...]:
    return tuple(array.astype(str).ravel().tolist())


def _check_arrays(path: Path, images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
    channels = images.shape[3] if images.ndim == 4 else 1
    if images.dtype != np.uint8 or images.ndim not in {3, 4} or channels not in {1, 3}:
        msg = f"split {path.name}: images (N, H, W) or (N, H, W, 1 or 3) of uint8 were expected"
        raise DataError(f"{msg}, {images.shape} of {images.dtype} came")
    if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
        msg = f"split {path.name}: integer labels ({len(images)},) were expected"
        raise DataError(f"{msg}, {labels.shape} of {labels.dtype} came")
