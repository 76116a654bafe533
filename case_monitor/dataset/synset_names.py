"""Readable names of classes that are called otherwise in files, as ImageNet's synsets (n01440764) are."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from case_monitor.dataset.picture_split import shown
from case_monitor.domain.errors import DataError


def readable_names(file: Path, keys: Sequence[str], split: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The name of each key, and what there is to say about them.

    Two classes of one name (ImageNet has two cranes) both get their key behind it: were the names left alike, one class
    could be taken for the other; were that refused, ImageNet's own list could not be used.

    Args:
        file: JSON `{key: name}`, or text with a line for each key: key, blank or tab, names separated by commas, of
            which the first is taken.
        keys: of the classes, in their order.
        split: its name, for an error.

    Raises:
        DataError: a key has no name, or two.
    """
    known = _read(file)
    missing = [key for key in keys if not known.get(key)]
    if missing:
        msg = f"split {split!r}: a name for each class was expected in {file.name}, {len(missing)} have none"
        raise DataError(f"{msg}: {shown(missing)}")
    names = [known[key] for key in keys]
    counts = Counter(names)
    told_apart = tuple(name if counts[name] == 1 else f"{name} ({key})" for key, name in zip(keys, names, strict=True))
    if len(set(told_apart)) < len(keys):
        raise DataError(f"split {split!r}: a name for each class was expected in {file.name}, one stands for several")
    alike = [after for before, after in zip(names, told_apart, strict=True) if before != after]
    note = f"{len(alike)} classes of {split!r} share names, and are called after their folders, too: {shown(alike)}."
    return told_apart, (note,) if alike else ()


def _read(file: Path) -> dict[str, str]:
    try:
        if not file.is_file():  # a pipe would be waited for
            raise DataError(f"split: names of classes were expected at {file}, no file is there")
        text = file.read_text(encoding="utf-8-sig")
        pairs = _of_json(text) if file.suffix.lower() == ".json" else _of_lines(text)
        names: dict[str, str] = {}
        for key, name in pairs:
            if names.setdefault(key, name) != name:
                raise DataError(f"names of classes in {file.name}: one name was expected, {key!r} has two")
    except (OSError, ValueError) as error:  # no UTF-8, no JSON
        raise DataError(f"names of classes cannot be read from {file.name}: {type(error).__name__}") from None
    return names


def _of_json(text: str) -> Iterator[tuple[str, str]]:
    content = json.loads(text, object_pairs_hook=list)
    if not isinstance(content, list) or not all(
        isinstance(pair, tuple) and isinstance(pair[1], str) for pair in content
    ):
        raise DataError("names of classes: JSON {key: name} was expected, something else came")
    yield from ((key, name.strip()) for key, name in content)


def _of_lines(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, _, rest = line.partition("\t") if "\t" in line else line.strip().partition(" ")
        if key:
            yield key, rest.split(",")[0].strip()
