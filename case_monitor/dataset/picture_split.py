"""The one room through which pictures go that are read one by one, whatever kind of split lists them."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from case_monitor.dataset.class_labels import require_told_apart
from case_monitor.dataset.pictures import Look, look, read
from case_monitor.dataset.raw_split import RawSplit, require_no_problem
from case_monitor.dataset.scales import Values
from case_monitor.dataset.stored import Stored
from case_monitor.domain.errors import DataError

NAMED = 3
"""Things of a kind that a note or an error names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What a kind of split lists.

    Attributes:
        name: of the split, for people.
        pictures: (N,) where each is read from.
        sample_ids: (N,) their names.
        labels: (N,) class indices.
        also: (N, ...) the other classes of images that are of several; empty: each is of one.
        class_names: in the order of these; None: nobody has named them.
        sorted_by: what class names were put in their order by, where that is not themselves.
        notes: what is no part of the split.
    """

    name: str
    pictures: Sequence[Stored]
    sample_ids: tuple[str, ...]
    labels: tuple[int, ...]
    class_names: tuple[str, ...] | None
    also: tuple[tuple[int, ...], ...] = ()
    sorted_by: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


class _Pictures(Dataset[Any]):
    """Read when they are needed."""

    def __init__(self, pictures: Sequence[Stored], labels: Sequence[int]) -> None:
        self.pictures, self._labels = pictures, labels

    def __getitem__(self, index: int) -> tuple[Image.Image | Values, int]:
        return read(self.pictures[index].content()), self._labels[index]


def picture_split(listed: Listed, unreadable: int = 0) -> RawSplit:
    """Look at each picture once; it is read again when it is needed.

    Args:
        listed: the pictures.
        unreadable: how many that cannot be read may be left out.

    Raises:
        DataError: more cannot be read, one cannot be taken for a picture without a choice of its owner's, or two class
            names look alike.
    """
    require_told_apart(listed.class_names or (), listed.name)
    with ThreadPoolExecutor() as pool:  # Pillow decodes without holding Python's lock
        looks = list(pool.map(look, listed.pictures))
    notes = _left_out(listed, looks, unreadable)
    _require_pictures(listed, looks)
    kept = [i for i, one in enumerate(looks) if not one.unreadable]
    names, seen = [listed.sample_ids[i] for i in kept], [looks[i] for i in kept]
    return RawSplit(
        name=listed.name,
        images=_Pictures([listed.pictures[i] for i in kept], [listed.labels[i] for i in kept]),
        sample_ids=tuple(names),
        labels=np.array([listed.labels[i] for i in kept], dtype=np.int64),
        also=tuple(listed.also[i] for i in kept) if listed.also else (),
        class_names=listed.class_names,
        sorted_by=listed.sorted_by,
        digest=_digest(names, seen),
        contents=tuple(one.content for one in seen),
        pixels=tuple(one.pixels for one in seen),
        scales=tuple(one.scale for one in seen),
        turned=sum(one.turned for one in seen),
        notes=(*listed.notes, *notes, *_halved(listed.name, seen)),
    )


def _halved(split: str, seen: Sequence[Look]) -> Iterator[str]:
    count = sum(one.halved for one in seen)
    if count:
        yield (
            f"{count} images of {split!r} have 16 bits a channel, of which Pillow takes the upper 8: values that fill "
            "only a part of the 16 are nearly black."
        )


def shown(names: Sequence[str]) -> str:
    """The first few of them."""
    return ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")


def _left_out(listed: Listed, looks: Sequence[Look], allowed: int) -> tuple[str, ...]:
    """What there is to say about pictures that cannot be read."""
    bad = [(name, one.unreadable) for name, one in zip(listed.sample_ids, looks, strict=True) if one.unreadable]
    if not bad:
        return ()
    if len(bad) <= allowed:
        said = shown([f"{name} ({why})" for name, why in bad])
        return (f"{len(bad)} of {len(looks)} images of {listed.name!r} cannot be read and were left out: {said}.",)
    name, why = bad[0]
    more = len(bad) - 1
    others = f" ({more} other images cannot be read either: {shown([name for name, _ in bad[1:]])})" if more else ""
    at_most = f", split.unreadable allows {allowed}" if allowed else ""
    remedy = f"; mend them, or leave such out by split.unreadable: {len(bad)}"
    msg = f"image {name!r} of split {listed.name!r} cannot be read: {why}{others}{at_most}{remedy}"
    raise DataError(msg)


def _require_pictures(listed: Listed, looks: Sequence[Look]) -> None:
    require_no_problem(listed.name, zip(listed.sample_ids, (one.problem for one in looks), strict=True))


def _digest(names: Sequence[str], looks: Sequence[Look]) -> str:
    total = hashlib.sha256()
    for name, one in zip(names, looks, strict=True):
        total.update(os.fsencode(name) + b"\0" + one.content)
    return total.hexdigest()
