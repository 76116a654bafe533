"""Two versions side by side: each was measured through its own eyes; images are paired by id, classes by name."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.contrast_sets import ContrastMember, ContrastSets
from case_monitor.domain.errors import DataError
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.split import Split
from case_monitor.judging.figures.between_versions import Measured
from case_monitor.judging.measurer import Subject

_OTHER_CLASSES = (
    "classes: the data set {!r} brings no class names, and the two versions order theirs differently, so that its "
    "labels mean other classes to each; give the data set class names"
)


def in_classes_of(baseline: Measured, baseline_split: Split, candidate: Measured, split: Split) -> Measured:
    """What was measured on the baseline, in the candidate's order of classes.

    Args:
        baseline: in its own order.
        baseline_split: the images as the baseline sees them.
        candidate: what it is compared with.
        split: the images as the candidate sees them.

    Raises:
        DataError: the classes cannot be paired, or an image is of another class to each of the two.
    """
    if baseline_split.class_names != split.class_names:
        order = _order(baseline_split.class_names, split.class_names)
        baseline = _reordered(baseline, order)
    if (baseline.preds.target != candidate.preds.target).any():
        raise DataError(_OTHER_CLASSES.format(split.name))
    return baseline


def require_same_classes(candidate: ModelVersion, split: Split, baseline: ModelVersion, base_split: Split) -> None:
    """Make sure that two versions know the same classes, each once, in whatever order.

    Raises:
        DataError: they do not, so that they cannot be compared.
    """
    ours, theirs = split.class_names, base_split.class_names
    if ours == theirs:
        return
    only_ours, only_theirs = sorted(set(ours) - set(theirs)), sorted(set(theirs) - set(ours))
    if only_ours or only_theirs or len(set(ours)) < len(ours):
        differ = f"only {candidate} has {only_ours[:5]}, only {baseline} has {only_theirs[:5]}"
        twice = "a name that stands twice cannot be matched in another order"
        msg = (
            f"class names: {candidate} cannot be compared with {baseline}, in production: "
            f"{differ if only_ours or only_theirs else twice}; a model of other classes needs a name of its own"
        )
        raise DataError(msg)


def require_same_question(candidate: Subject, baseline: Subject) -> None:
    """Make sure that two versions that know the same classes tell each image's from the same others.

    Raises:
        DataError: they do not.
    """
    ours, theirs = candidate.excluded, baseline.excluded
    if ours is None or theirs is None:
        same = ours is theirs
    else:
        order = _order(baseline.split.class_names, candidate.split.class_names)
        same = np.array_equal(ours[:, order], theirs)
    if not same:
        raise DataError(_OTHER_CLASSES.format(candidate.split.name))


def _order(theirs: Sequence[str], ours: Sequence[str]) -> IntArray:
    """(C,) where each of their classes is among ours."""
    places = {name: i for i, name in enumerate(ours)}
    return np.array([places[name] for name in theirs], dtype=np.int64)


def _reordered(measured: Measured, order: IntArray) -> Measured:
    # -1, which is no class, stays what it is.
    moved = np.append(order, -1)
    preds, scores = measured.preds, measured.scores
    return replace(
        measured,
        preds=replace(preds, target=order[preds.target], preds=moved[preds.preds]),
        scores=replace(scores, target=order[scores.target], top2=order[scores.top2]),
        contrasts=_contrasts(measured.contrasts, order),
    )


def _contrasts(sets: ContrastSets, order: IntArray) -> ContrastSets:
    members: list[tuple[ContrastMember, ...]] = [() for _ in sets.members]
    for u, of_class in enumerate(sets.members):
        members[order[u]] = tuple(
            replace(m, target_class=int(order[m.target_class]), class_idx=int(order[m.class_idx])) for m in of_class
        )
    return replace(sets, members=tuple(members), unseen=tuple(sorted(int(order[u]) for u in sets.unseen)))
