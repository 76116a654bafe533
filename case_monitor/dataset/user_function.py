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


def read_function(spec: FunctionSplit) -> RawSplit:
    """Call the function and look at every image once."""
    module_name, _, function_name = spec.function.partition(":")
    with foreign_code(f"split.function: {spec.function}", "cannot be imported", ConfigError):
        function = getattr(importlib.import_module(module_name), function_name)
    with foreign_code(f"split: {spec.function}", "gives no data set of (image, class index)", DataError):
        images: Dataset[Any] = function(**spec.arguments)
        labels, digest, contents = _read_through(images)
    classes = getattr(images, "classes", None)
    return RawSplit(
        name=function_name,
        images=images,
        sample_ids=tuple(f"{i:06d}" for i in range(len(labels))),
        labels=labels,
        class_names=None if classes is None else tuple(map(str, classes)),
        digest=digest,
        contents=contents,
    )


def _read_through(images: Dataset[Any]) -> tuple[IntArray, str, tuple[bytes, ...]]:
    """All labels, the digest of all images, and of each."""
    labels, total, contents = [], hashlib.sha256(), []
    for i in range(len(images)):  # type: ignore[arg-type] # Dataset does not promise a length, map-style ones have it
        image, label = images[i]
        labels.append(int(label))
        pixels = np.asarray(image.convert() if isinstance(image, Image.Image) else image)  # convert: looks up a palette
        content = f"{pixels.shape} {pixels.dtype} ".encode() + pixels.tobytes()
        total.update(content)
        contents.append(content_digest(content))
    return np.array(labels, dtype=np.int64), total.hexdigest(), tuple(contents)
