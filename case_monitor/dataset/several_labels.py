"""Images of several classes: each is asked about one of them, against the classes that it is not of.

One question an image, as of an image of one class, so that images stay independent and everything that counts them
holds. Which class that is depends on the image's name alone: two versions are asked the same, and so is one twice.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from case_monitor.dataset.raw_split import RawSplit
from case_monitor.domain.arrays import BoolArray, IntArray
from case_monitor.domain.errors import DataError

_ROWS = "; a 0 or 1 for each class is for splits of kind npz or function"
Also = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What images of several classes are asked.

    Attributes:
        places: (M,) which of the images have a class at all.
        labels: (M,) the class that each of them is asked about.
        also: (M, ...) its other classes.
        notes: what is to be said about the others.
    """

    places: tuple[int, ...]
    labels: tuple[int, ...]
    also: Also
    notes: tuple[str, ...]


def asked_labels(
    split: str, sample_ids: Sequence[str], sets: Sequence[Collection[int]], class_names: Sequence[str] | None
) -> Asked:
    """Draw a class for each image.

    Args:
        split: its name, for people.
        sample_ids: (N,) names of the images.
        sets: (N, ...) their classes.
        class_names: of the classes; the drawing goes by these, where there are any, in whatever order they stand.

    Raises:
        DataError: there are other classes than these.
    """
    low, high = min((u for classes in sets for u in classes), default=0), _highest(sets)
    if low < 0 or (class_names is not None and high >= len(class_names)):
        top = "" if class_names is None else len(class_names) - 1
        raise DataError(f"split {split!r}: labels in 0..{top} were expected, {low}..{high} came")
    places = tuple(i for i, classes in enumerate(sets) if classes)
    ordered = [sorted(set(sets[i]), key=lambda u: str(u) if class_names is None else class_names[u]) for i in places]
    drawn = [_drawn(sample_ids[i], len(classes)) for i, classes in zip(places, ordered, strict=True)]
    bare = len(sets) - len(places)
    return Asked(
        places=places,
        labels=tuple(classes[d] for classes, d in zip(ordered, drawn, strict=True)),
        also=tuple(tuple(sorted({*classes} - {classes[d]})) for classes, d in zip(ordered, drawn, strict=True)),
        notes=(f"{bare} of {len(sets)} images of {split!r} are of no class and were left out.",) if bare else (),
    )


def one_each(labels: Sequence[int]) -> Asked:
    """What images of one class are asked."""
    return Asked(places=tuple(range(len(labels))), labels=tuple(labels), also=(), notes=())


def _drawn(sample_id: str, count: int) -> int:
    name = sample_id.encode(errors="surrogatepass")  # a file's may be no text
    return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest()) % count


def _highest(sets: Sequence[Collection[int]]) -> int:
    return max((u for classes in sets for u in classes), default=-1)


def sets_of_lists(split: str, lists: Sequence[Sequence[int]], where: Sequence[str], *, indices: bool) -> list[set[int]]:
    """The classes of images of which each has a list.

    Args:
        split: its name, for an error.
        lists: (N, ...) the classes of each image.
        where: (N,) where the list stands, for an error.
        indices: they are numbers, not names: a list could be of 0 and 1 for each class.

    Raises:
        DataError: one has a class twice, or all look like that.
    """
    for classes, place in zip(lists, where, strict=True):
        if len(set(classes)) < len(classes):
            msg = f"split {split!r}, {place}: each class of an image once was expected, one came twice"
            raise DataError(msg + (_ROWS if indices else ""))
    lengths = {len(classes) for classes in lists}
    if indices and len(lists) > 1 and lengths == {2} and _highest(lists) <= 1:
        msg = f"split {split!r}: lists of classes were expected, two numbers 0 or 1 for each image came"
        raise DataError(msg + _ROWS)
    return [set(classes) for classes in lists]


def sets_of_rows(rows: npt.NDArray[np.generic], where: str) -> list[tuple[int, ...]]:
    """The classes of images whose labels (N, C) are 1 for each class that an image is of, and else 0.

    Raises:
        DataError: there is another number in them, or a single column.
    """
    if rows.ndim != 2 or rows.shape[1] < 2 or rows.dtype.kind not in "biuf" or not np.isin(rows, (0, 1)).all():
        msg = f"{where}: of images of several classes, a row of 0 and 1 for each was expected, one for each class"
        flat = rows.ndim == 2 and rows.shape[1] == 1
        other = (
            f", a single column; write ({len(rows)},) if each image is of one class" if flat else ", with other values"
        )
        raise DataError(f"{msg}; {rows.shape} of {rows.dtype} came{other}")
    return [tuple(np.flatnonzero(row).tolist()) for row in rows]


def with_a_question(raw: RawSplit, excluded: BoolArray) -> RawSplit:
    """The split without images that are of every class: there is nothing to tell their own from.

    Args:
        raw: the split.
        excluded: (N, num_classes) classes of the model that each image is of beside its own.

    Raises:
        DataError: all images are.
    """
    kept = np.flatnonzero(excluded.sum(1) < excluded.shape[1] - 1)
    gone = len(excluded) - len(kept)
    if not gone:
        return raw
    if not len(kept):
        msg = f"split {raw.name!r}: images that are not of every class were expected, all {gone} are"
        raise DataError(f"{msg}: there is nothing to tell their own from")
    note = f"{gone} images of {raw.name!r} are of every class that the model knows, and were left out."
    return replace(raw, columns=raw.num_classes).only(kept, note)


def excluded_classes(also: Also, order: IntArray, num_classes: int) -> BoolArray | None:
    """(N, num_classes) of a model's classes, those that each image is of beside its own; None: there are none.

    Args:
        also: (N, ...) in the data set's own order.
        order: (C,) which class of the model each of the data set's is.
        num_classes: of the model.
    """
    if not also:
        return None
    excluded = np.zeros((len(also), num_classes), dtype=bool)
    for row, classes in zip(excluded, also, strict=True):
        row[order[list(classes)]] = True
    return excluded


def described(raw: RawSplit) -> Iterator[str]:
    """What there is to say where images are of several classes."""
    if not raw.also:
        return
    mean = 1 + sum(map(len, raw.also)) / len(raw.also)
    yield (
        f"The images of {raw.name!r} are of {mean:.1f} classes on average. The model is asked about one of each, drawn "
        "by the image's name, and answers with the likeliest of that one and of those that the image is not of: "
        "accuracy, precision, recall, confidence and confusion are of these answers."
    )
