"""Data sets of the library `datasets`, saved by `save_to_disk`: Arrow files, and no code."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from case_monitor.dataset.class_labels import of_names
from case_monitor.dataset.picture_split import Listed, picture_split
from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.several_labels import Asked, asked_labels, one_each, sets_of_lists
from case_monitor.domain.errors import DataError
from case_monitor.logs.foreign_errors import short_message
from case_monitor.settings import HuggingfaceSplit

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True, slots=True)
class Row:
    """The picture of a row. The data set is a file in memory, which other processes open again by its path."""

    dataset: "Dataset"
    column: str
    index: int

    def size(self) -> int:
        return int(self._buffer().size)

    def content(self) -> bytes:
        return bytes(self._buffer().to_pybytes())

    def _buffer(self) -> Any:
        cell = self.dataset.data.column(self.column)[self.index]
        stored = cell["bytes"] if cell.is_valid else cell
        if not stored.is_valid:
            raise OSError(0, "its bytes are not in the data set; save_to_disk puts them there")
        return stored.as_buffer()


def read_huggingface(spec: HuggingfaceSplit) -> RawSplit:
    """Read a data set; its pictures go through the same looks as files."""
    datasets = _library()
    dataset = _loaded(spec)
    split = spec.split or spec.path.name
    for column in (spec.image_column, spec.label_column):
        if column not in dataset.column_names:
            came = ", ".join(dataset.column_names[:8])
            raise DataError(f"split {split!r}: a column {column!r} was expected, {came} came")
    if not isinstance(dataset.features[spec.image_column], datasets.Image):
        kind = type(dataset.features[spec.image_column]).__name__
        raise DataError(f"split {split!r}, column {spec.image_column!r}: images were expected, {kind} came; cast it")
    mode = dataset.features[spec.image_column].mode
    if mode is not None:
        msg = f"images as they are stored were expected, the data set says mode {mode!r}"
        raise DataError(f"split {split!r}, column {spec.image_column!r}: {msg}; cast it to Image() and save it so")
    class_names, asked = _labels(dataset, spec.label_column, split)
    listed = Listed(
        name=split,
        pictures=[Row(dataset, spec.image_column, i) for i in asked.places],
        sample_ids=tuple(f"{i:06d}" for i in asked.places),
        labels=asked.labels,
        also=asked.also,
        class_names=class_names,
        notes=asked.notes,
    )
    return picture_split(listed, spec.unreadable)


def _library() -> Any:
    """The package that reads them.

    Raises:
        DataError: it is not installed.
    """
    try:
        import datasets  # an extra, which takes seconds
    except ImportError:
        msg = "split: a data set of Hugging Face needs the extra case-monitor[huggingface]; install it"
        raise DataError(msg) from None
    return datasets


def _loaded(spec: HuggingfaceSplit) -> "Dataset":
    """The data set, or the part of several that is asked for.

    Raises:
        DataError: it cannot be read, or the part is not there.
    """
    datasets = _library()
    if not spec.path.is_dir():
        msg = "a folder that save_to_disk made was expected"
        raise DataError(f"split: {msg} at {spec.path}, none is there")
    _require_own_files(spec.path)
    try:
        loaded = datasets.load_from_disk(str(spec.path))
    except Exception as error:  # of files of any kind
        msg = "a folder that save_to_disk made was expected"
        raise DataError(f"split: {msg} at {spec.path}: {short_message(error)}") from None
    if isinstance(loaded, datasets.Dataset):
        if spec.split is not None:
            msg = f"no split.split was expected, as there are no parts, {spec.split!r} came"
            raise DataError(f"split {spec.path.name!r}: {msg}")
        return loaded
    if spec.split not in loaded:
        came = "nothing" if spec.split is None else repr(spec.split)
        msg = f"split.split was expected to be one of {', '.join(loaded)}, {came} came"
        raise DataError(f"split {spec.path.name!r}: {msg}")
    return loaded[spec.split]


def _require_own_files(path: Path) -> None:
    """Files that a data set names lie beside their list: another place may be nobody's validation set.

    Raises:
        DataError: it names some elsewhere.
    """
    for state in path.rglob("state.json"):
        try:
            names = [str(entry["filename"]) for entry in json.loads(state.read_text(encoding="utf-8"))["_data_files"]]
        except (OSError, ValueError, LookupError, TypeError):
            continue  # who reads it next says what is wrong with it
        other = next((name for name in names if Path(name).name != name), None)
        if other is not None:
            raise DataError(f"split {path.name!r}: files beside {state.name} were expected, {other[:80]!r} came")


def _labels(dataset: "Dataset", column: str, split: str) -> tuple[tuple[str, ...] | None, Asked]:
    """Class names, and what each row is asked."""
    feature = dataset.features[column]
    cells = dataset.data.column(column)
    if cells.null_count:
        raise DataError(
            f"split {split!r}, column {column!r}: a class in each row was expected, {cells.null_count} have none"
        )
    values = cells.to_pylist()
    inner = feature[0] if isinstance(feature, list) else getattr(feature, "feature", None)  # of lists of all kinds
    if inner is not None:
        pairs = [(i, value) for i, of_row in enumerate(values) for value in of_row]
        names, flat = _of_kind(inner, [value for _, value in pairs], [i for i, _ in pairs], column, split)
        lists: list[list[int]] = [[] for _ in values]
        for (i, _), label in zip(pairs, flat, strict=True):
            lists[i].append(label)
        sets = sets_of_lists(split, lists, [f"row {i}" for i in range(len(lists))], indices=names is None)
        return names, asked_labels(split, [f"{i:06d}" for i in range(len(values))], sets, names)
    names, labels = _of_kind(feature, values, range(len(values)), column, split)
    return names, one_each(labels)


def _of_kind(
    feature: Any, values: Sequence[Any], rows: Sequence[int], column: str, split: str
) -> tuple[tuple[str, ...] | None, tuple[int, ...]]:
    """Class names, and the class that each value says."""
    kind = getattr(feature, "dtype", type(feature).__name__)
    if None in values:
        raise DataError(f"split {split!r}, column {column!r}: a class in each place was expected, some are empty")
    if isinstance(feature, _library().ClassLabel):
        return tuple(feature.names), tuple(values)
    if kind in {"string", "large_string"}:
        return of_names(values, [f"row {i}" for i in rows], split)
    if isinstance(kind, str) and kind.startswith(("int", "uint")):
        return None, tuple(values)
    raise DataError(
        f"split {split!r}, column {column!r}: classes (ClassLabel, text or integers) were expected, {kind} came; "
        "lists of these if images are of several classes"
    )
