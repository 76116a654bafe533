"""A table of paths and labels."""

from collections.abc import Sequence
from pathlib import Path

from case_monitor.dataset.class_labels import of_names, of_numbers
from case_monitor.dataset.picture_split import Listed, picture_split
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.several_labels import asked_labels, one_each
from case_monitor.dataset.stored import File
from case_monitor.dataset.table_rows import Rows, read_rows
from case_monitor.domain.errors import DataError
from case_monitor.settings import TableSplit


def read_table(spec: TableSplit) -> RawSplit:
    """Read a table, and look at the files that it names."""
    split, folder = spec.path.stem, spec.images or spec.path.parent
    if not folder.is_dir():
        msg = f"split {split!r}: the folder of the images was expected at {folder}, none is there"
        raise DataError(msg)
    rows = read_rows(spec)
    names = tuple(_below(folder, *at, split) for at in zip(rows.paths, rows.where, strict=True))
    first = _first_of_each(names, rows, split)
    repeated = len(names) - len(first)
    kept, where = [names[i] for i in first], [rows.where[i] for i in first]
    labels, notes = (
        [rows.labels[i] for i in first],
        [f"{repeated} rows of {split!r} name a file again: each counts once."],
    )
    if spec.label_separator is None:
        class_names, classes = _classes(spec, labels, where, split)
        asked = one_each(classes)
    else:
        class_names, sets = _several(spec, spec.label_separator, labels, where, split)
        asked = asked_labels(split, kept, sets, class_names)
    listed = Listed(
        name=split,
        pictures=[File(folder / kept[i]) for i in asked.places],
        sample_ids=tuple(kept[i] for i in asked.places),
        labels=asked.labels,
        also=asked.also,
        class_names=class_names,
        notes=(*(notes if repeated else ()), *asked.notes),
    )
    return picture_split(listed, spec.unreadable)


def _several(
    spec: TableSplit, separator: str, cells: Sequence[str], where: Sequence[str], split: str
) -> tuple[tuple[str, ...] | None, list[set[int]]]:
    """Class names, and the classes of each image; those of a cell that is empty are none."""
    parts = [[part.strip() for part in cell.split(separator)] if cell.strip() else [] for cell in cells]
    class_names, flat = _classes(spec, *_flat(parts, where), split)
    each = iter(flat)
    return class_names, [{next(each) for _ in of_image} for of_image in parts]


def _flat(parts: Sequence[Sequence[str]], where: Sequence[str]) -> tuple[list[str], list[str]]:
    """Every label of every image, and where each stands."""
    pairs = [(part, place) for of_image, place in zip(parts, where, strict=True) for part in of_image]
    return [part for part, _ in pairs], [place for _, place in pairs]


def _classes(
    spec: TableSplit, labels: Sequence[str], where: Sequence[str], split: str
) -> tuple[tuple[str, ...] | None, tuple[int, ...]]:
    if spec.labels == "names":
        return of_names(labels, where, split)
    return None, of_numbers(labels, where, split, "; say labels: names if these are names")


def _below(folder: Path, text: str, where: str, split: str) -> str:
    """What a file is called below the folder.

    Raises:
        DataError: it lies elsewhere.
    """
    path = Path(text)
    if path.is_absolute() and path.is_relative_to(folder.absolute()):
        path = path.relative_to(folder.absolute())
    if path.is_absolute() or ".." in path.parts or "\0" in text or path == Path():
        msg = f"split {split!r}, {where}: a file below {folder} was expected, {text[:80]!r} came; say images"
        raise DataError(msg)
    return path.as_posix()


def _first_of_each(names: Sequence[str], rows: Rows, split: str) -> list[int]:
    """Where each file is named first.

    Raises:
        DataError: it has several classes.
    """
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        before = first.setdefault(name, i)
        if rows.labels[before] != rows.labels[i]:
            msg = (
                f"split {split!r}: one class of each file was expected, {name!r} has {rows.labels[before]!r} in "
                f"{rows.where[before]} and {rows.labels[i]!r} in {rows.where[i]}; if images are of several, put "
                "those of one into one cell and say label_separator"
            )
            raise DataError(msg)
    return list(first.values())
