"""Where the object is in an image, as people marked it: a mask for each image, or boxes in a table."""

import csv
import hashlib
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from case_monitor.dataset.pictures import FORMATS
from case_monitor.domain.errors import DataError
from case_monitor.logs.foreign_errors import short_message

COLUMNS = ("image", "x0", "y0", "x1", "y1")
_ONE_CHANNEL = {"1", "L", "P", "I", "I;16"}

Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Objects:
    """What is marked in the images of a split.

    Attributes:
        masks: name of an image -> its mask's file.
        boxes: name of an image -> (x0, y0, x1, y1) in its pixels; what is at x1 and y1 is outside.
        digest: SHA-256 of it all.
    """

    masks: Mapping[str, Path]
    boxes: Mapping[str, Sequence[Box]]
    digest: str

    def of(self, name: str, height: int, width: int) -> Mask:
        """(H, W) where the object is in an image of that size; nowhere where nothing is marked.

        Raises:
            DataError: the mask is of another size, or a box lies outside.
        """
        if name in self.masks:
            mask = _read_mask(name, self.masks[name].read_bytes())
            if mask.shape != (height, width):
                came, expected = (f"{shape[1]} x {shape[0]}" for shape in (mask.shape, (height, width)))
                msg = f"the mask of image {name!r}: {expected} pixels were expected, as many as it has, {came} came"
                raise DataError(f"{msg}; masks are of images as they are seen, turned where preprocessing.exif says so")
            return mask
        mask = np.zeros((height, width), dtype=np.bool_)
        for x0, y0, x1, y1 in self.boxes.get(name, ()):
            if not (0 <= x0 < x1 <= width and 0 <= y0 < y1 <= height):
                box = f"({x0:g}, {y0:g}, {x1:g}, {y1:g})"
                raise DataError(f"a box of image {name!r}: one inside of {width} x {height} was expected, {box} came")
            mask[math.floor(y0) : math.ceil(y1), math.floor(x0) : math.ceil(x1)] = True
        return mask


def read_objects(path: Path, sample_ids: Sequence[str], split: str) -> tuple[Objects, str]:
    """What is marked in images of these names, and what there is to say about it.

    Args:
        path: a folder of masks, each called like its image, with the suffix `.png`; or a CSV file of boxes.
        sample_ids: the images' names.
        split: for people.

    Raises:
        DataError: there is neither, nothing is marked in any of the images, or a mask or row is none.
    """
    if path.is_dir():
        found = _masks(path, sample_ids, split)
    elif path.is_file():
        found = _boxes(path, sample_ids, split)
    else:
        raise DataError(
            f"split {split!r}, objects: a folder of masks or a CSV file was expected at {path}, none is there"
        )
    marked = len(found.masks) + len(found.boxes)
    return found, f"Objects are marked in {marked} of {len(sample_ids)} images of {split!r}."


def _masks(folder: Path, sample_ids: Sequence[str], split: str) -> Objects:
    digest, masks = hashlib.sha256(), {}
    for name in sample_ids:
        inside = PurePosixPath(name).with_suffix(".png")
        file = folder / inside
        if inside.is_absolute() or ".." in inside.parts or not file.is_file():
            continue
        content = file.read_bytes()
        _read_mask(name, content)  # before hours are spent
        digest.update(name.encode() + b"\0" + hashlib.sha256(content).digest())
        masks[name] = file
    if not masks:
        like = PurePosixPath(sample_ids[0]).with_suffix(".png")
        msg = f"split {split!r}, objects: masks of its images were expected in {folder}, none is there"
        raise DataError(f"{msg}; that of {sample_ids[0]!r} would be called {str(like)!r}")
    return Objects(masks=masks, boxes={}, digest=digest.hexdigest())


def _read_mask(name: str, content: bytes) -> Mask:
    """Where a picture of one channel is not 0."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.mode not in _ONE_CHANNEL:
                msg = f"the mask of image {name!r}: one channel was expected, mode {image.mode} came"
                raise DataError(f"{msg}; 0 is what is not the object")
            return np.asarray(np.array(image) != 0)
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"the mask of image {name!r} cannot be read: {short_message(error)}") from None


def _boxes(path: Path, sample_ids: Sequence[str], split: str) -> Objects:
    known, boxes = set(sample_ids), dict[str, list[Box]]()
    try:
        content = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise DataError(f"split {split!r}, objects: a CSV file in UTF-8 was expected at {path}: {error}") from None
    rows = csv.DictReader(io.StringIO(content, newline=""))
    missing = set(COLUMNS) - set(rows.fieldnames or ())
    if missing:
        came = ", ".join(rows.fieldnames or ()) or "nothing"
        raise DataError(
            f"split {split!r}, objects: columns {', '.join(COLUMNS)} were expected in {path.name}, {came} came"
        )
    for row in rows:
        try:
            x0, y0, x1, y1 = (float(row[column]) for column in COLUMNS[1:])
        except (TypeError, ValueError):
            msg = f"split {split!r}, objects, line {rows.line_num} of {path.name}: four numbers were expected"
            raise DataError(f"{msg}, {[row[column] for column in COLUMNS[1:]]} came") from None
        if row["image"] in known:
            boxes.setdefault(row["image"], []).append((x0, y0, x1, y1))
    if not boxes:
        msg = f"split {split!r}, objects: boxes of its images were expected in {path.name}, none is there"
        raise DataError(f"{msg}; its images are called like {sample_ids[0]!r}")
    digest = hashlib.sha256(repr(sorted(boxes.items())).encode()).hexdigest()
    return Objects(masks={}, boxes=boxes, digest=digest)
