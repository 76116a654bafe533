"""A table of paths and labels."""

from collections.abc import Sequence
from pathlib import Path

from case_monitor.dataset.class_labels import of_names, of_numbers
from case_monitor.dataset.picture_split import Listed, picture_split
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.several_labels import asked_labels, one_each, sets_of_lists
from case_monitor.dataset.stored import File
from case_monitor.dataset.table_rows import MISSING, Rows, read_rows
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
    first = _first_of_each(names, rows, split, spec.label_separator)
    repeated = len(names) - len(first)
    kept, where = [names[i] for i in first], [rows.where[i] for i in first]
    labels = [rows.labels[i] for i in first]
    notes = [f"{repeated} rows of {split!r} name a file again: each counts once."] if repeated else []
    if spec.label_separator is None:
        class_names, classes = _classes(spec, labels, where, split)
        asked = one_each(classes)
    else:
        class_names, sets = _several(spec, spec.label_separator, labels, where, split)
        if not any(len(of_image) > 1 for of_image in sets):
            notes.append(f"No cell of {split!r} has split.label_separator, {spec.label_separator!r}, in it.")
        asked = asked_labels(split, kept, sets, class_names)
    listed = Listed(
        name=split,
        pictures=[File(folder / kept[i]) for i in asked.places],
        sample_ids=tuple(kept[i] for i in asked.places),
        labels=asked.labels,
        also=asked.also,
        class_names=class_names,
        notes=(*notes, *asked.notes),
    )
    return picture_split(listed, spec.unreadable)


def _several(
    spec: TableSplit, separator: str, cells: Sequence[str], where: Sequence[str], split: str
) -> tuple[tuple[str, ...] | None, list[set[int]]]:
    """Class names, and the classes of each image; those of a cell that is empty are none."""
    parts = [[part.strip() for part in cell.split(separator)] if cell.strip() else [] for cell in cells]
    texts, places = _flat(parts, where)
    missing = next((place for text, place in zip(texts, places, strict=True) if text in MISSING), None)
    if missing is not None:
        raise DataError(f"split {split!r}, {missing}: a class was expected around each {separator!r}, none came")
    class_names, flat = _classes(spec, texts, places, split)
    each = iter(flat)
    lists = [[next(each) for _ in of_image] for of_image in parts]
    return class_names, sets_of_lists(split, lists, where, indices=spec.labels == "indices")


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


def _first_of_each(names: Sequence[str], rows: Rows, split: str, separator: str | None) -> list[int]:
    """Where each file is named first.

    Raises:
        DataError: it has several classes.
    """
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        before = first.setdefault(name, i)
        if not _same(rows.labels[before], rows.labels[i], separator):
            msg = (
                f"split {split!r}: one class of each file was expected, {name!r} has {rows.labels[before]!r} in "
                f"{rows.where[before]} and {rows.labels[i]!r} in {rows.where[i]}; put those of an image that is of "
                "several into one cell, and say label_separator"
            )
            raise DataError(msg)
    return list(first.values())


def _same(cell: str, other: str, separator: str | None) -> bool:
    """Whether two cells say the same classes, in whatever order."""
    if separator is None:
        return cell == other
    one, two = ({part.strip() for part in of.split(separator)} for of in (cell, other))
    return one == two
