"""A table of paths and labels."""

from collections.abc import Sequence
from pathlib import Path

from case_monitor.dataset.class_labels import of_names, of_numbers
from case_monitor.dataset.picture_split import Listed, picture_split
from case_monitor.dataset.raw_split import RawSplit
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
    class_names, labels = _classes(spec, [rows.labels[i] for i in first], where, split)
    listed = Listed(
        name=split,
        pictures=[File(folder / name) for name in kept],
        sample_ids=tuple(kept),
        labels=labels,
        class_names=class_names,
        notes=(f"{repeated} rows of {split!r} name a file again: each counts once.",) if repeated else (),
    )
    return picture_split(listed, spec.unreadable)


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
                f"{rows.where[before]} and {rows.labels[i]!r} in {rows.where[i]}"
            )
            raise DataError(msg)
    return list(first.values())
