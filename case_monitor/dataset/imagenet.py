"""ImageNet's validation set as it is published: one flat folder, and a file that says what each image shows."""

import os
from collections.abc import Mapping
from pathlib import Path

from case_monitor.dataset.imagenet_truth import IMAGE, Truth, read_truth
from case_monitor.dataset.picture_split import Listed, picture_split, shown
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.stored import File
from case_monitor.dataset.synset_names import readable_names
from case_monitor.domain.errors import DataError
from case_monitor.settings import ImagenetSplit

_SUFFIXES = {".jpeg", ".jpg"}


def read_imagenet(spec: ImagenetSplit) -> RawSplit:
    """Read the folder. Classes are synsets in the order of their characters, as torchvision has them."""
    truth, split = read_truth(spec.truth), spec.path.name
    files, notes = _files(spec.path, truth)
    class_names, said = readable_names(spec.names, truth.synsets, split) if spec.names else (truth.synsets, ())
    index = {synset: u for u, synset in enumerate(truth.synsets)}
    listed = Listed(
        name=split,
        pictures=[File(spec.path / name) for name in files.values()],
        sample_ids=tuple(files.values()),
        labels=tuple(index[truth.of_images[number]] for number in files),
        class_names=class_names,
        sorted_by=truth.synsets,
        notes=(*notes, *said),
    )
    return picture_split(listed, spec.unreadable)


def _files(path: Path, truth: Truth) -> tuple[Mapping[int, str], tuple[str, ...]]:
    """The images by their numbers, and what there is to say about the folder."""
    try:
        entries = sorted(entry.name for entry in os.scandir(path))
    except OSError as error:
        raise DataError(f"split: a folder of images was expected at {path}: {error.strerror}") from None
    numbers = {name: _number(name) for name in entries}
    files: dict[int, str] = {}
    for name, number in numbers.items():
        if number is not None and number in files:
            raise DataError(f"split {path.name!r}: each image once was expected, {files[number]} and {name} came")
        if number is not None:
            files[number] = name
    if not files:
        msg = "images ILSVRC2012_val_00000001.JPEG and so on were expected"
        raise DataError(f"split: {msg} in {path}, none came; folders of synsets are kind image_folder")
    unknown = [name for number, name in files.items() if number not in truth.of_images]
    if unknown:
        msg = f"split {path.name!r}: split.truth was expected to say what each image shows, of {len(unknown)} not"
        raise DataError(f"{msg}: {shown(unknown)}")
    return files, tuple(_notes(path.name, [name for name, number in numbers.items() if number is None], files, truth))


def _notes(split: str, others: list[str], files: Mapping[int, str], truth: Truth) -> list[str]:
    notes = [f"{len(others)} files or folders that are no images of {split!r} were left out: {shown(others)}."]
    missing = len(truth.of_images) - len(files)
    absent = f"{missing} of {len(truth.of_images)} images that split.truth knows are not in {split!r}."
    return (notes if others else []) + ([absent] if missing else [])


def _number(name: str) -> int | None:
    """Of an image; None: it is none."""
    stem, suffix = os.path.splitext(name)
    image = IMAGE.fullmatch(stem)
    return int(image[1]) if image and suffix.lower() in _SUFFIXES else None
