"""A directory with one folder of images per class."""

import hashlib
import io
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.datasets import ImageFolder

from case_monitor.dataset.pictures import read_rgb, why_no_rgb
from case_monitor.dataset.raw_split import RawSplit, content_digest
from case_monitor.domain.errors import DataError


def read_image_folder(path: Path) -> RawSplit:
    """Read a directory, each file once; its images are opened again when they are needed."""
    if not path.is_dir():
        msg = f"split: a directory with one folder per class was expected at {path}, none is there"
        raise DataError(msg)
    try:
        folder = ImageFolder(str(path), loader=read_rgb, allow_empty=True)
    except FileNotFoundError as error:
        msg = f"split: one folder per class was expected in {path}: {error}"
        raise DataError(msg) from None
    files = [Path(file) for file, _ in folder.samples]
    names = tuple(file.relative_to(path).as_posix() for file in files)
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
        looks = list(pool.map(_look, files))
    _require_rgb(path.name, names, [problem for _, _, problem in looks])
    contents = tuple(content for content, _, _ in looks)
    return RawSplit(
        name=path.name,
        images=folder,
        sample_ids=names,
        labels=np.array(folder.targets, dtype=np.int64),
        class_names=tuple(folder.classes),
        digest=_digest(names, contents),
        contents=contents,
        pixels=tuple(pixels for _, pixels, _ in looks),
    )


def _look(file: Path) -> tuple[bytes, bytes, str | None]:
    """The digests of a file and of its pixels, which are the same in another encoding, and why it is no RGB picture.

    The file's is that of the split: the pixels of a JPEG depend a little on the decoder.
    """
    content = file.read_bytes()
    digest = hashlib.sha256(content).digest()
    try:
        with Image.open(io.BytesIO(content)) as image:
            problem = why_no_rgb(image)
            rgb = image.convert("RGB")
    except Exception:  # it is said of the file when it is needed
        return digest, digest, None
    return digest, content_digest(f"{rgb.size} ".encode() + rgb.tobytes()), problem


def _require_rgb(split: str, names: Sequence[str], problems: Sequence[str | None]) -> None:
    bad = [(name, problem) for name, problem in zip(names, problems, strict=True) if problem]
    if bad:
        name, problem = bad[0]
        others = f" ({len(bad) - 1} other images of the split are no such pictures either)" if len(bad) > 1 else ""
        msg = f"image {name!r} of split {split!r}: {problem}{others}"
        raise DataError(msg)


def _digest(names: Sequence[str], contents: Sequence[bytes]) -> str:
    total = hashlib.sha256()
    for name, content in zip(names, contents, strict=True):
        total.update(os.fsencode(name) + b"\0" + content)
    return total.hexdigest()
