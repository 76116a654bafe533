"""A directory with one folder of images per class."""

import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from case_monitor.dataset.folder_files import folder_files
from case_monitor.dataset.pictures import Look, look, read_rgb
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.domain.errors import DataError


class _Files(Dataset[Any]):
    """Read when they are needed, from below the folder `root`."""

    def __init__(self, root: Path, files: Sequence[Path], labels: Sequence[int]) -> None:
        self.root, self._files, self._labels = root, files, labels

    def __getitem__(self, index: int) -> tuple[Image.Image, int]:
        return read_rgb(self._files[index]), self._labels[index]


def read_image_folder(path: Path) -> RawSplit:
    """Read a directory, each file once; its images are opened again when they are needed."""
    if not path.is_dir():
        msg = f"split: a directory with one folder per class was expected at {path}, none is there"
        raise DataError(msg)
    found = folder_files(path)
    names = tuple(file.relative_to(path).as_posix() for file in found.files)
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
        looks = list(pool.map(look, found.files))
    _require_rgb(path.name, names, looks)
    return RawSplit(
        name=path.name,
        images=_Files(path, found.files, found.labels),
        sample_ids=names,
        labels=np.array(found.labels, dtype=np.int64),
        class_names=found.classes,
        digest=_digest(names, looks),
        contents=tuple(one.content for one in looks),
        pixels=tuple(one.pixels for one in looks),
        turned=sum(one.turned for one in looks),
        notes=found.notes,
    )


def _require_rgb(split: str, names: Sequence[str], looks: Sequence[Look]) -> None:
    bad = [(name, one.problem) for name, one in zip(names, looks, strict=True) if one.problem]
    if bad:
        name, problem = bad[0]
        others = f" ({len(bad) - 1} other images of the split are no such pictures either)" if len(bad) > 1 else ""
        msg = f"image {name!r} of split {split!r}: {problem}{others}"
        raise DataError(msg)


def _digest(names: Sequence[str], looks: Sequence[Look]) -> str:
    total = hashlib.sha256()
    for name, one in zip(names, looks, strict=True):
        total.update(os.fsencode(name) + b"\0" + one.content)
    return total.hexdigest()
