"""Data sets that a function of the user's returns."""

import hashlib
import importlib
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from case_monitor.dataset.raw_split import RawSplit, content_digest
from case_monitor.domain.arrays import IntArray
from case_monitor.domain.errors import ConfigError, DataError
from case_monitor.domain.foreign_code import foreign_code
from case_monitor.settings import FunctionSplit

READ_AGAIN = 50
"""Images that are read a second time: what changes at random changes nearly all of them."""


def read_function(spec: FunctionSplit) -> RawSplit:
    """Call the function and look at every image once, and at some again."""
    module_name, _, function_name = spec.function.partition(":")
    with foreign_code(f"split.function: {spec.function}", "cannot be imported", ConfigError):
        function = getattr(importlib.import_module(module_name), function_name)
    with foreign_code(f"split: {spec.function}", "gives no data set of (image, class index)", DataError):
        images: Dataset[Any] = function(**spec.arguments)
        labels, digest, contents = _read_through(images)
    classes = getattr(images, "classes", None)
    raw = RawSplit(
        name=function_name,
        images=images,
        sample_ids=tuple(f"{i:06d}" for i in range(len(labels))),
        labels=labels,
        class_names=None if classes is None else tuple(map(str, classes)),
        digest=digest,
        contents=contents,
    )
    if len(labels):
        with foreign_code(f"split: {spec.function}", "cannot be read a second time", DataError):
            _require_same_again(images, raw)
    return raw


def _read_through(images: Dataset[Any]) -> tuple[IntArray, str, tuple[bytes, ...]]:
    """All labels, the digest of all images, and of each."""
    labels, total, contents = [], hashlib.sha256(), []
    for i in range(len(images)):  # type: ignore[arg-type] # Dataset does not promise a length, map-style ones have it
        label, content = _read(images, i)
        labels.append(label)
        total.update(content)
        contents.append(content_digest(content))
    return np.array(labels, dtype=np.int64), total.hexdigest(), tuple(contents)


def _read(images: Dataset[Any], index: int) -> tuple[int, bytes]:
    """The label of an image, and all that makes it: shape, kind and pixels."""
    image, label = images[index]
    pixels = np.asarray(image.convert() if isinstance(image, Image.Image) else image)  # convert: looks up a palette
    return int(label), f"{pixels.shape} {pixels.dtype} ".encode() + pixels.tobytes()


def _require_same_again(images: Dataset[Any], raw: RawSplit) -> None:
    """Two versions are compared on the same images, which are read once for each: some must come out again."""
    for i in np.unique(np.linspace(0, len(raw.sample_ids) - 1, READ_AGAIN).round().astype(int)).tolist():
        label, content = _read(images, i)
        what = "image" if content_digest(content) != raw.contents[i] else "label" if label != raw.labels[i] else ""
        if what:
            msg = (
                f"image {raw.sample_ids[i]!r} of split {raw.name!r}: the same {what} was expected at each reading, "
                "another came at the second; leave random augmentation out of it, or seed it by the image's number"
            )
            raise DataError(msg)
