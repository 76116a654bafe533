"""Where the object is in an image, as people marked it: a mask for each image, or boxes in a table."""

import csv
import hashlib
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image

from case_monitor.dataset.pictures import may_be_picture
from case_monitor.domain.errors import DataError
from case_monitor.logs.foreign_errors import short_message

COLUMNS = ("image", "x0", "y0", "x1", "y1")
_ONE_CHANNEL = {"1", "L", "P", "I", "I;16"}

Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFile:
    """A mask on disk, with the SHA-256 that it had when the split was read."""

    file: Path
    digest: bytes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Objects:
    """What is marked in the images of a split.

    Attributes:
        masks: name of an image -> its mask.
        boxes: name of an image -> (x0, y0, x1, y1) in its pixels; what is at x1 and y1 is outside.
        digest: SHA-256 of it all.
    """

    masks: Mapping[str, MaskFile]
    boxes: Mapping[str, Sequence[Box]]
    digest: str

    def of(self, name: str, height: int, width: int) -> Mask:
        """(H, W) where the object is in an image of that size; nowhere where nothing is marked.

        Raises:
            DataError: the mask is of another size, or another one than it was, or a box lies outside.
        """
        if name in self.masks:
            return self._mask(name, (height, width))
        mask = np.zeros((height, width), dtype=np.bool_)
        for x0, y0, x1, y1 in self.boxes.get(name, ()):
            if x1 > width or y1 > height:
                box = f"({x0:g}, {y0:g}, {x1:g}, {y1:g})"
                raise DataError(f"a box of image {name!r}: one inside of {width} x {height} was expected, {box} came")
            mask[math.floor(y0) : math.ceil(y1), math.floor(x0) : math.ceil(x1)] = True
        return mask

    def _mask(self, name: str, shape: tuple[int, int]) -> Mask:
        kept = self.masks[name]
        content = _content(name, kept.file)
        if hashlib.sha256(content).digest() != kept.digest:
            raise DataError(f"the mask of image {name!r} has changed since the split was read: {kept.file}")
        mask = _read_mask(name, content)
        if mask.shape != shape:
            came, expected = (f"{of[1]} x {of[0]}" for of in (mask.shape, shape))
            msg = f"the mask of image {name!r}: {expected} pixels were expected, as many as it has, {came} came"
            raise DataError(f"{msg}; masks are of images as they are seen, turned where preprocessing.exif says so")
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
        found, marked, note = _masks(path, sample_ids, split)
    elif path.is_file():
        found, marked, note = _boxes(path, sample_ids, split)
    else:
        msg = f"split {split!r}, objects: a folder of masks or a CSV file was expected at {path}, none is there"
        raise DataError(msg)
    return found, f"Objects are marked in {marked} of {len(sample_ids)} images of {split!r}{note}."


def mask_name(sample_id: str) -> str:
    """What the mask of an image is called: with another suffix where it has that of a picture, else with one more.

    >>> mask_name("a/x.jpg"), mask_name("s_0.5")
    ('a/x.png', 's_0.5.png')
    """
    name = PurePosixPath(sample_id)
    return str(name.with_suffix(".png")) if name.name and may_be_picture(Path(name)) else f"{sample_id}.png"


def _masks(folder: Path, sample_ids: Sequence[str], split: str) -> tuple[Objects, int, str]:
    digest, masks, marked = hashlib.sha256(), dict[str, MaskFile](), 0
    whose: dict[str, str] = {}
    for name in sample_ids:
        inside = mask_name(name)
        file = folder / inside
        if PurePosixPath(inside).is_absolute() or ".." in PurePosixPath(inside).parts or not _is_file(file):
            continue
        if inside in whose:
            msg = (
                f"split {split!r}, objects: a mask for each image was expected, {inside!r} is that of {whose[inside]!r}"
            )
            raise DataError(f"{msg} and of {name!r}")
        whose[inside] = name
        content = _content(name, file)
        marked += bool(_read_mask(name, content).any())  # before hours are spent
        masks[name] = MaskFile(file=file, digest=hashlib.sha256(content).digest())
        digest.update(name.encode() + b"\0" + masks[name].digest)
    if not masks:
        msg = f"split {split!r}, objects: masks of its images were expected in {folder}, none is there"
        raise DataError(f"{msg}; that of {sample_ids[0]!r} would be called {mask_name(sample_ids[0])!r}")
    return Objects(masks=masks, boxes={}, digest=digest.hexdigest()), marked, ""


def _is_file(file: Path) -> bool:
    try:
        return file.is_file()
    except OSError:  # names of images may be longer than those of files
        return False


def _content(name: str, file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(f"the mask of image {name!r} cannot be read: {error.strerror}") from None


def _read_mask(name: str, content: bytes) -> Mask:
    """Where a PNG of one channel is not 0."""
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as image:
            problem = _why_no_mask(image)
            if problem is None:
                return np.asarray(np.array(image) != 0)
    except Exception as error:  # Pillow raises many
        raise DataError(f"the mask of image {name!r} cannot be read as PNG: {short_message(error)}") from None
    raise DataError(f"the mask of image {name!r}: {problem}")


def _why_no_mask(image: Image.Image) -> str | None:
    if image.mode not in _ONE_CHANNEL:
        return f"one channel was expected, mode {image.mode} came; 0 is what is not the object"
    palette = image.getpalette("RGB") if image.mode == "P" else None
    if palette and any(palette[:3]):
        return f"a palette whose first colour is black was expected, {tuple(palette[:3])} came; 0 is not the object"
    return None


def _boxes(path: Path, sample_ids: Sequence[str], split: str) -> tuple[Objects, int, str]:
    known, boxes, strange = set(sample_ids), dict[str, list[Box]](), 0
    try:
        rows = list(_rows(path, split))
    except (csv.Error, UnicodeDecodeError, OSError) as error:
        msg = f"split {split!r}, objects: a CSV file in UTF-8 was expected at {path}: {short_message(error)}"
        raise DataError(msg) from None
    for name, box in rows:
        if name in known:
            boxes.setdefault(name, []).append(box)
        else:
            strange += 1
    if not boxes:
        msg = f"split {split!r}, objects: boxes of its images were expected in {path.name}, none is there"
        raise DataError(f"{msg}; its images are called like {sample_ids[0]!r}")
    digest = hashlib.sha256(repr(sorted(boxes.items())).encode()).hexdigest()
    note = f"; {strange} rows of {path.name!r} are of images that are not in it" if strange else ""
    return Objects(masks={}, boxes=boxes, digest=digest), len(boxes), note


def _rows(path: Path, split: str) -> Iterator[tuple[str, Box]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        missing = set(COLUMNS) - set(rows.fieldnames or ())
        if missing:
            came = ", ".join(rows.fieldnames or ()) or "nothing"
            msg = f"split {split!r}, objects: columns {', '.join(COLUMNS)} were expected in {path.name}, {came} came"
            raise DataError(msg)
        for row in rows:
            texts = [row[column] for column in COLUMNS[1:]]
            where = f"split {split!r}, objects, line {rows.line_num} of {path.name}"
            try:
                x0, y0, x1, y1 = (float(text) for text in texts)
            except (TypeError, ValueError):
                raise DataError(f"{where}: four numbers were expected, {texts} came") from None
            if not (0 <= x0 < x1 < math.inf and 0 <= y0 < y1 < math.inf):
                raise DataError(f"{where}: 0 <= x0 < x1 and 0 <= y0 < y1 were expected, {texts} came")
            yield row["image"], (x0, y0, x1, y1)
