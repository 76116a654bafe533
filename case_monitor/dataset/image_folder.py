"""A directory with one folder of images per class."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from torchvision.datasets import ImageFolder

from case_monitor.dataset.raw_split import RawSplit
from case_monitor.domain.errors import DataError


def read_image_folder(path: Path) -> RawSplit:
    """Read a directory; its images are opened when they are needed."""
    if not path.is_dir():
        msg = f"split: a directory with one folder per class was expected at {path}, none is there"
        raise DataError(msg)
    try:
        folder = ImageFolder(str(path), allow_empty=True)
    except FileNotFoundError as error:
        msg = f"split: one folder per class was expected in {path}: {error}"
        raise DataError(msg) from None
    files = [Path(file) for file, _ in folder.samples]
    names = tuple(file.relative_to(path).as_posix() for file in files)
    contents = tuple(map(_digest_file, files))
    return RawSplit(
        name=path.name,
        images=folder,
        sample_ids=names,
        labels=np.array(folder.targets, dtype=np.int64),
        class_names=tuple(folder.classes),
        digest=_digest(names, contents),
        contents=contents,
    )


def _digest_file(file: Path) -> bytes:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").digest()


def _digest(names: Sequence[str], contents: Sequence[bytes]) -> str:
    total = hashlib.sha256()
    for name, content in zip(names, contents, strict=True):
        total.update(os.fsencode(name) + b"\0" + content)
    return total.hexdigest()
