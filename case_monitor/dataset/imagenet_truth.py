"""Which synset each image of ImageNet's validation set shows, as the devkit or Kaggle say it."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.io import loadmat

from case_monitor.domain.errors import DataError
from case_monitor.logs.foreign_errors import short_message

IMAGE = re.compile(r"ILSVRC2012_val_(\d{8})", re.ASCII)
_SYNSET = re.compile(r"n\d{8}", re.ASCII)
_META = "meta.mat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """Synsets in their order, which is that of the classes; and the synset of each image by its number, from 1."""

    synsets: tuple[str, ...]
    of_images: Mapping[int, str]


def read_truth(file: Path) -> Truth:
    """Of `ILSVRC2012_validation_ground_truth.txt` with `meta.mat` beside it, or of `LOC_val_solution.csv`.

    Raises:
        DataError: it is no such file.
    """
    if not file.is_file():  # a pipe would be waited for
        msg = "ILSVRC2012_validation_ground_truth.txt or LOC_val_solution.csv was expected"
        raise DataError(f"split.truth: {msg} at {file}, no file is there")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise DataError(f"split.truth: a text in UTF-8 was expected at {file}, other bytes came") from None
    return _of_kaggle(file, text) if file.suffix.lower() == ".csv" else _of_devkit(file, text)


def _of_devkit(file: Path, text: str) -> Truth:
    """A line an image: the number of its synset in the devkit, which is not the index of its class."""
    synsets = _devkit_synsets(file.with_name(_META))
    of_images = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            if text.split("\n")[number:] not in ([], [""]):
                raise DataError(f"split.truth, line {number} of {file.name}: a number was expected, none came")
            break
        synset = synsets.get(line.strip())
        if synset is None:
            msg = f"split.truth, line {number} of {file.name}: the number of a synset of {_META} was expected"
            raise DataError(f"{msg}, {line.strip()[:40]!r} came")
        of_images[number] = synset
    return Truth(synsets=tuple(sorted(synsets.values())), of_images=of_images)


def _devkit_synsets(meta: Path) -> dict[str, str]:
    """Synsets that have images by their numbers, as text; those that only hold others are left out."""
    if not meta.is_file():
        raise DataError(f"split.truth: the devkit's {_META} was expected beside it at {meta}, no file is there")
    try:
        rows: Any = loadmat(meta, squeeze_me=True)["synsets"]
        leaves = [row for row in rows if int(row["num_children"]) == 0]
        synsets = {str(int(row["ILSVRC2012_ID"])): str(row["WNID"]) for row in leaves}
    except Exception as error:  # of a file of any kind: scipy raises whatever its bytes make it
        raise DataError(f"split.truth: {meta} is no {_META} of the devkit: {short_message(error)}") from None
    if len(set(synsets.values())) < len(leaves) or not all(map(_SYNSET.fullmatch, synsets.values())):
        raise DataError(f"split.truth: a synset for each number was expected in {meta}, others came")
    return synsets


def _of_kaggle(file: Path, text: str) -> Truth:
    """`ImageId,PredictionString`: a synset and its box, for each box."""
    of_images: dict[int, str] = {}
    rows = csv.DictReader(text.splitlines(), strict=True)
    if not {"ImageId", "PredictionString"} <= set(rows.fieldnames or ()):
        came = ", ".join(rows.fieldnames or ())[:80]
        raise DataError(f"split.truth: ImageId and PredictionString were expected in {file.name}, {came!r} came")
    for row in rows:
        image = IMAGE.fullmatch(row["ImageId"] or "")
        synsets = set((row["PredictionString"] or "").split()[::5])
        if image is None or len(synsets) != 1 or not all(map(_SYNSET.fullmatch, synsets)):
            where = f"split.truth, line {rows.line_num} of {file.name}"
            raise DataError(f"{where}: an image and boxes of one synset were expected, something else came")
        number, synset = int(image[1]), synsets.pop()
        if of_images.setdefault(number, synset) != synset:
            raise DataError(f"split.truth: one synset of {image[0]} was expected in {file.name}, two came")
    return Truth(synsets=tuple(sorted(set(of_images.values()))), of_images=of_images)
