"""Class indices out of what files say: names, or numbers written as text."""

import unicodedata
from collections.abc import Iterable, Sequence

from case_monitor.domain.errors import DataError

_MOST = 1_000_000
"""Classes: a number beyond is no class, and a list of so many would fill the memory."""


def of_names(names: Sequence[str], where: Sequence[str], split: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Class names in the order of their characters, and the index of each image's.

    Args:
        names: (N,) the class of each image.
        where: (N,) where that is written, for an error.
        split: its name, for an error.

    Raises:
        DataError: one is empty, or has blanks around it.
    """
    for name, place in zip(names, where, strict=True):
        if not name or name != name.strip():
            came = f"{name!r}, with blanks around it, came" if name else "none came"
            msg = f"split {split!r}, {place}: the name of a class was expected, {came}"
            raise DataError(msg)
    classes = tuple(sorted(set(names)))
    index = {name: u for u, name in enumerate(classes)}
    return classes, tuple(index[name] for name in names)


def of_numbers(texts: Iterable[str], where: Sequence[str], split: str, remedy: str) -> tuple[int, ...]:
    """Class indices.

    Raises:
        DataError: one is no such number.
    """
    return tuple(_number(text, place, split, remedy) for text, place in zip(texts, where, strict=True))


def require_told_apart(names: Sequence[str], split: str) -> None:
    """Letters with accents can be written in two ways that nobody sees.

    Raises:
        DataError: two class names differ in that alone.
    """
    forms: dict[str, str] = {}
    for name in names:
        other = forms.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            msg = f"split {split!r}: class names that differ were expected, two ways to write {name!r} came (Unicode)"
            raise DataError(msg)


def _number(text: str, place: str, split: str, remedy: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < len(str(_MOST)) + 3 and int(text) < _MOST:
        return int(text)
    msg = f"split {split!r}, {place}: the index of a class, from 0, was expected, {text[:40]!r} came{remedy}"
    raise DataError(msg)
