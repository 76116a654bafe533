"""A split for one model: its classes in the order of the logits, its digest, its images preprocessed."""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from case_monitor.dataset.matched_classes import excluded_of, match_classes, with_class_map
from case_monitor.dataset.prepared_images import PreparedImages
from case_monitor.dataset.raw_split import RawSplit, require_no_problem
from case_monitor.dataset.scales import clipped, why_no_scale
from case_monitor.dataset.several_labels import described, with_a_question
from case_monitor.domain.arrays import BoolArray, IntArray
from case_monitor.domain.errors import DataError
from case_monitor.domain.split import Split
from case_monitor.settings import Preprocessing


def prepare(
    raw: RawSplit,
    class_names: Sequence[str] | None,
    preprocessing: Preprocessing | None,
    num_workers: int = 0,
    class_map: Mapping[str, str] | None = None,
) -> tuple[Split, PreparedImages]:
    """Bring a split into the model's order of classes and its preprocessing.

    Args:
        raw: the images as stored.
        class_names: the model's, in the order of its logits; None takes the data set's.
        preprocessing: the model's; None for a data set that returns prepared tensors.
        num_workers: processes that read images.
        class_map: as which class each of the model's counts; images may be of these or of the model's.

    Raises:
        DataError: the class names or their number contradict each other; the message says both sides. Or images have a
            scale that nobody has said.
    """
    unconfirmed = tuple(_unconfirmed(raw, class_names))
    groups: tuple[int, ...] = ()
    if class_map is not None:
        raw, class_names, groups = with_class_map(raw, class_names, class_map)
    names, target = match_classes(raw, class_names)
    excluded = excluded_of(raw, names)
    if excluded is not None:
        raw = with_a_question(raw, excluded)
        (names, target), excluded = match_classes(raw, class_names), excluded_of(raw, names)
    _require_scales(raw, preprocessing)
    settings = preprocessing.identity if preprocessing else None
    # The targets too: in another order of its own classes, a data set has the same images and other targets.
    target_digest = hashlib.sha256(target.tobytes()).hexdigest()
    more: list[object] = [groups] if groups else []
    if excluded is not None:
        more.append(hashlib.sha256(excluded.tobytes()).hexdigest())
    if raw.objects is not None:
        more.append(raw.objects.digest)
    identity = json.dumps([raw.digest, target_digest, list(names), settings, *more])
    split = Split(
        name=raw.name,
        digest=hashlib.sha256(identity.encode()).hexdigest(),
        class_names=names,
        size=len(raw.sample_ids),
        images_digest=raw.images_digest,
        labels_digest=raw.labels_digest,
        field_of_view=preprocessing.field_of_view if preprocessing else "as the data set prepares it",
        groups=groups,
        notes=(
            *_declared(raw, names, target),
            *described(raw),
            *_counted(groups, names),
            *raw.notes,
            *_turned(raw, preprocessing),
            *_clipped(raw, preprocessing),
            *unconfirmed,
            *_missing(raw, names, target, excluded),
        ),
    )
    return split, PreparedImages(raw, target, excluded, preprocessing, num_workers)


def _require_scales(raw: RawSplit, preprocessing: Preprocessing | None) -> None:
    """Before hours are spent: each image is asked again when it is prepared."""
    if preprocessing is None:
        return
    kinds = (None if scale is None else scale.kind for scale in raw.scales)
    problems = (why_no_scale(kind, preprocessing.window) for kind in kinds)
    require_no_problem(raw.name, zip(raw.sample_ids, problems, strict=False))


def _clipped(raw: RawSplit, preprocessing: Preprocessing | None) -> Iterator[str]:
    """What there is to say about values beyond the window."""
    if preprocessing is None or preprocessing.window is None:
        return
    some, whole = clipped(raw.scales, preprocessing.window)
    if some:
        known = [scale for scale in raw.scales if scale is not None]
        low, high = min(scale.low for scale in known), max(scale.high for scale in known)
        outside = f"; {whole} have no others and are of one colour" if whole else ""
        yield (
            f"{some} of {len(raw.scales)} images of {raw.name!r} have values beyond preprocessing.window "
            f"{list(preprocessing.window)}, which are clipped: all values are in {low:g}..{high:g}{outside}."
        )


def _turned(raw: RawSplit, preprocessing: Preprocessing | None) -> Iterator[str]:
    """What there is to say where nobody has said whether pictures are turned."""
    if raw.turned and preprocessing is not None and preprocessing.exif is None:
        yield (
            f"{raw.turned} images of {raw.name!r} say that they are to be turned first (EXIF), and are not, as in "
            "torchvision: say preprocessing.exif: apply or ignore, as the model was trained."
        )


def _unconfirmed(raw: RawSplit, class_names: Sequence[str] | None) -> Iterator[str]:
    """What there is to say where nobody has said what order the model's logits have.

    Raises:
        DataError: the data set's own order is that of its folders' names, which people sort in several ways.
    """
    own = raw.class_names
    if class_names is not None or own is None:
        return
    say = (
        "log class_names with the model (model_metadata), or give models.<name>.class_names, in the order of its logits"
    )
    keys = raw.sorted_by or own
    other = next((o for o in _usual_orders(keys) if o != keys), None) if keys == tuple(sorted(keys)) else None
    if other is not None:
        u = next(u for u, (a, b) in enumerate(zip(keys, other, strict=True)) if a != b)
        msg = (
            f"class names: the model has none, and those of {raw.name!r} are sorted in several ways: class {u} is "
            f"{keys[u]!r} by their characters and {other[u]!r} as people do; {say}"
        )
        raise DataError(msg)
    shown = ", ".join(own[:5]) + (", ..." if len(own) > 5 else "")
    yield (
        f"Nobody has said which class each logit stands for: they are taken to be in the order of {raw.name!r}, "
        f"{shown}. To confirm it, {say}."
    )


def _usual_orders(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """As a file manager shows them: without regard to case, and numbers by their value."""
    yield tuple(sorted(names, key=str.casefold))
    yield tuple(sorted(names, key=lambda name: [int(p) if p.isdecimal() else p for p in re.split(r"(\d+)", name)]))


def _declared(raw: RawSplit, names: Sequence[str], target: IntArray) -> Iterator[str]:
    """What there is to say where not all classes are judged, which whoever reads a verdict takes for granted."""
    seen = len(np.unique(target))
    if raw.subset and seen < len(names):
        yield (
            f"This verdict is about {seen} of the model's {len(names)} classes ALONE: {raw.name!r} is declared to hold "
            "a subset of them (split.classes)."
        )


def _counted(groups: Sequence[int], names: Sequence[str]) -> Iterator[str]:
    """What there is to say where classes of the model are judged as one."""
    if groups:
        yield f"The model's {len(groups)} classes are judged as {len(names)} (class_map), not told apart within these."


def _missing(raw: RawSplit, names: Sequence[str], target: IntArray, excluded: BoolArray | None) -> Iterator[str]:
    """What there is to say about classes without an image, or that no image is asked about."""
    never = [u for u in range(len(names)) if not (target == u).any()]
    shown = [] if excluded is None else [u for u in never if excluded[:, u].any()]
    empty = [u for u in never if u not in shown]
    if empty:
        yield (
            f"{len(empty)} of {len(names)} classes have no image in {raw.name!r}; nothing is known of them: "
            f"{_some(names, empty)}."
        )
    if shown:
        yield f"Of {len(shown)} of {len(names)} classes, no image of {raw.name!r} is asked: {_some(names, shown)}."


def _some(names: Sequence[str], classes: Sequence[int]) -> str:
    return ", ".join(names[u] for u in classes[:5]) + (", ..." if len(classes) > 5 else "")
