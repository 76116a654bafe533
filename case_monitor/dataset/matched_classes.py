"""The classes of a data set among those of a model: by name, where both have names."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from case_monitor.dataset.raw_split import RawSplit
from case_monitor.dataset.several_labels import asked_labels, excluded_classes
from case_monitor.domain.arrays import BoolArray, IntArray
from case_monitor.domain.class_groups import ClassGroups, counts_as, group_classes
from case_monitor.domain.errors import DataError

_NAMED = 5


def match_classes(raw: RawSplit, class_names: Sequence[str] | None) -> tuple[tuple[str, ...], IntArray]:
    """The class names of the logits, and the class of each image among them.

    Raises:
        DataError: they contradict each other; the message says both sides.
    """
    if raw.subset:
        return _some_of(raw, class_names)
    own = raw.class_names
    if class_names is None:
        return own or tuple(str(u) for u in range(raw.num_classes)), raw.labels
    names = tuple(class_names)
    count = raw.num_classes
    if count != len(names):
        source = "" if own or raw.columns else " (by its highest label; it brings no class names)"
        msg = f"number of classes: the data set {raw.name!r} has {count}{source}, the model has {len(names)}"
        extra = sorted(set(own or ()) - set(names))
        raise DataError(f"{msg}; only the data set has {extra[:5]}" if extra else msg)
    if own is None or own == names:
        return names, raw.labels
    if set(own) != set(names):
        theirs, ours = sorted(set(own) - set(names)), sorted(set(names) - set(own))
        msg = f"class names: only the data set {raw.name!r} has {theirs[:5]}, only the model has {ours[:5]}"
        raise DataError(msg)
    if len(set(names)) < count:
        twice = next(name for name in names if names.count(name) > 1)
        msg = f"class names: {twice!r} stands twice, so the other order of the data set {raw.name!r} cannot be matched"
        raise DataError(msg)
    # The same classes in another order, as when folders are sorted by name and logits are not.
    order = np.array([names.index(name) for name in own], dtype=np.int64)
    return names, order[raw.labels]


def excluded_of(raw: RawSplit, class_names: Sequence[str]) -> BoolArray | None:
    """(N, C) of classes that were matched, those that each image is of beside its own; None: each is of one."""
    if not raw.also:
        return None
    own, names = raw.class_names, tuple(class_names)
    if own is None or own == names:
        return excluded_classes(raw.also, np.arange(raw.num_classes), len(names))
    return excluded_classes(raw.also, np.array([names.index(name) for name in own]), len(names))


def with_class_map(
    raw: RawSplit, class_names: Sequence[str] | None, class_map: Mapping[str, str]
) -> tuple[RawSplit, tuple[str, ...], tuple[int, ...]]:
    """The split with the classes that those of the model count as, their names, and which each of the model's is.

    Images may be of the model's classes, or of those that they count as. Without names of the model, its classes are
    those of the data set, in that order.

    Raises:
        DataError: the class map, the model and the data set contradict each other.
    """
    own = raw.class_names
    fine = class_names
    if fine is None and own is not None and set(own) <= class_map.keys():
        fine = own
    if fine is None:
        raise DataError(
            f"class_map: the model has no class names, and those of the data set {raw.name!r} are not its own; log "
            "class_names with the model (model_metadata), or give models.<name>.class_names"
        )
    found = group_classes(fine, class_map)
    if own is None:
        match_classes(raw, fine)  # numbers are the model's own, if there are as many
        return _counted(raw, found, found.groups), found.names, found.groups
    coarse = [counts_as(name, class_map) for name in own]
    known = {*fine, *found.names}
    unknown = [name for name, of in zip(own, coarse, strict=True) if of not in found.names or name not in known]
    if unknown:
        raise DataError(
            f"class_map: classes of the model, or that they count as, were expected in the data set {raw.name!r}; "
            f"{unknown[:_NAMED]} are neither"
        )
    return _counted(raw, found, [found.names.index(str(name)) for name in coarse]), found.names, found.groups


def _counted(raw: RawSplit, found: ClassGroups, group_of: Sequence[int]) -> RawSplit:
    """The split with only those classes that its labels, by `group_of`, count as."""
    kept = sorted(set(group_of))
    order = np.array([kept.index(group) for group in group_of], dtype=np.int64)
    names = tuple(found.names[group] for group in kept)
    if not raw.also:
        return replace(raw, labels=order[raw.labels], columns=None, class_names=names)
    # Asked anew, as images of these classes are: what counts as one is one.
    both = zip(raw.labels.tolist(), raw.also, strict=True)
    sets = [{*order[[u, *classes]].tolist()} for u, classes in both]
    asked = asked_labels(raw.name, raw.sample_ids, sets, names)
    return replace(raw, labels=np.array(asked.labels), also=asked.also, columns=None, class_names=names)


def _some_of(raw: RawSplit, class_names: Sequence[str] | None) -> tuple[tuple[str, ...], IntArray]:
    """The same where the model may have more classes, as is declared."""
    own = raw.class_names
    if raw.also:
        msg = f"split.classes: {raw.name!r} has images of several classes, and all of the model's were expected in it"
        raise DataError(f"{msg}, not a subset: whether an image is of one that nobody looked for is not known")
    if class_names is None:
        msg = (
            f"split.classes: {raw.name!r} is declared a subset of the model's classes, and the model has no class names"
        )
        raise DataError(f"{msg}; log class_names with the model (model_metadata), or give models.<name>.class_names")
    names = tuple(class_names)
    if own is None:
        if raw.num_classes > len(names):
            top = raw.num_classes - 1
            raise DataError(
                f"number of classes: {raw.name!r} has labels up to {top}, the model has {len(names)} classes"
            )
        return names, raw.labels
    unknown = sorted(set(own) - set(names))
    if unknown:
        msg = f"class names: a subset of the model's was expected, only the data set {raw.name!r} has {unknown[:5]}"
        raise DataError(msg)
    twice = next((name for name in own if names.count(name) > 1 or own.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"class names: {twice!r} stands twice, so {raw.name!r} cannot be matched as a subset")
    order = np.array([names.index(name) for name in own], dtype=np.int64)
    return names, order[raw.labels]
