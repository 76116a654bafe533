"""Data sets that a function of the user's returns."""

import hashlib
import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset, Subset

from case_monitor.dataset.content_digest import content_digest
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.several_labels import Asked, asked_labels, sets_of_rows
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
    class_names = None if classes is None else tuple(map(str, classes))
    names = tuple(f"{i:06d}" for i in range(len(labels)))
    several = any(isinstance(label, tuple) for label in labels)
    asked = _asked(function_name, names, labels, class_names) if several else None
    places = range(len(labels)) if asked is None else asked.places
    if len(labels):
        with foreign_code(f"split: {spec.function}", "cannot be read a second time", DataError):
            _require_same_again(images, function_name, labels, contents)
    return RawSplit(
        name=function_name,
        images=images if len(places) == len(labels) else Subset(images, places),
        sample_ids=tuple(names[i] for i in places),
        labels=np.array(labels if asked is None else asked.labels, dtype=np.int64),
        also=asked.also if asked else (),
        columns=max(map(len, labels)) if asked else None,
        class_names=class_names,
        digest=digest,
        contents=tuple(contents[i] for i in places),
        notes=asked.notes if asked else (),
    )


def _asked(split: str, names: Sequence[str], labels: Sequence[Any], class_names: tuple[str, ...] | None) -> Asked:
    """What images are asked whose labels are a number for each class.

    Raises:
        DataError: they are of several lengths, or there are others.
    """
    columns = class_names and len(class_names)
    lengths = {len(label) if isinstance(label, tuple) else None for label in labels}
    if len(lengths) > 1 or columns not in {None, *lengths}:
        msg = f"split {split!r}: labels of as many numbers as there are classes were expected, {columns or 'the same'}"
        raise DataError(f"{msg} for each image; {sorted(map(str, lengths))} came")
    return asked_labels(split, names, sets_of_rows(np.array(labels), f"split {split!r}, labels"), class_names)


def _read_through(images: Dataset[Any]) -> tuple[list[Any], str, tuple[bytes, ...]]:
    """All labels, the digest of all images, and of each."""
    labels, total, contents = [], hashlib.sha256(), []
    for i in range(len(images)):  # type: ignore[arg-type] # Dataset does not promise a length, map-style ones have it
        label, content = _read(images, i)
        labels.append(label if isinstance(label, tuple) else np.int64(label))
        total.update(content)
        contents.append(content_digest(content))
    return labels, total.hexdigest(), tuple(contents)


def _read(images: Dataset[Any], index: int) -> tuple[int | tuple[float, ...], bytes]:
    """The label of an image, or one for each class, and all that makes it: shape, kind and pixels."""
    image, label = images[index]
    pixels = np.asarray(image.convert() if isinstance(image, Image.Image) else image)  # convert: looks up a palette
    values = np.asarray(label)
    several = values.ndim == 1 and values.size > 1  # a tensor of one number is that number
    content = f"{pixels.shape} {pixels.dtype} ".encode() + pixels.tobytes()
    return tuple(values.tolist()) if several else int(label), content


def _require_same_again(
    images: Dataset[Any], split: str, labels: Sequence[int | tuple[float, ...]], contents: Sequence[bytes]
) -> None:
    """Two versions are compared on the same images, which are read once for each: some must come out again."""
    for i in np.unique(np.linspace(0, len(labels) - 1, READ_AGAIN).round().astype(int)).tolist():
        label, content = _read(images, i)
        what = "image" if content_digest(content) != contents[i] else "label" if label != labels[i] else ""
        if what:
            msg = (
                f"image '{i:06d}' of split {split!r}: the same {what} was expected at each reading, "
                "another came at the second; leave random augmentation out of it, or seed it by the image's number"
            )
            raise DataError(msg)
