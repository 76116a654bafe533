"""Contrast sets V(u): the classes that the model confuses with u (paper, eq. 2; method, "Contrast set")."""

from collections.abc import Iterator

import numpy as np

from case_monitor.domain.confusion_matrix import ConfusionMatrix
from case_monitor.domain.contrast_sets import ContrastMember, ContrastSets, ContrastSource
from case_monitor.domain.protocol import Protocol

_MOST = 0.5
"""Of the members, that may never have been predicted."""


def contrast_sets(
    confmat: ConfusionMatrix, contrast_k: int, *, observed_only: bool = False, threshold: float = 0.0
) -> ContrastSets:
    """V(u) for every class: the `contrast_k` classes most often predicted for images of u.

    Ties are broken by the soft confusion P[u, v], then by class index. Where fewer than `contrast_k` classes were
    ever confused with u, the largest P[u, v] fill the rest, unless `observed_only`; those with P[u, v] below the
    `threshold` are left out.

    Example:
        >>> m = ConfusionMatrix(counts=np.array([[5, 0, 2], [0, 3, 0], [0, 0, 0]]),
        ...                     soft=np.array([[.7, .2, .1], [.1, .8, .1], [np.nan] * 3]))
        >>> sets = contrast_sets(m, 2)
        >>> [[v.class_idx for v in members] for members in sets.members], sets.unseen
        ([[2, 1], [0, 2], []], (2,))
    """
    num_classes = len(confmat.counts)
    unseen = tuple(np.flatnonzero(confmat.counts.sum(axis=1) == 0).tolist())
    members = tuple(
        () if u in unseen else _members(confmat, u, min(contrast_k, num_classes - 1), observed_only, threshold)
        for u in range(num_classes)
    )
    return ContrastSets(contrast_k=contrast_k, members=members, unseen=unseen)


def contrast_sets_by(protocol: Protocol, confmat: ConfusionMatrix) -> ContrastSets:
    """V(u) for every class, as a protocol says."""
    return contrast_sets(
        confmat,
        protocol.contrast_k,
        observed_only=protocol.observed_only,
        threshold=protocol.contrast_threshold,
    )


def few_were_confused(sets: ContrastSets) -> Iterator[str]:
    """What there is to say where sets are empty, or most members were never predicted: errors were too few to know."""
    members = [m for of_class in sets.members for m in of_class]
    empty = sum(not of_class for of_class in sets.members) - len(sets.unseen)
    if empty and sets.contrast_k:
        yield f"{empty} of {len(sets.members)} contrast sets are empty: of these classes, CASE's maps are Grad-CAM's."
    soft = sum(m.source is ContrastSource.SOFT for m in members)
    if members and soft > _MOST * len(members):
        errors = sum(m.count for m in members)
        yield (
            f"{soft} of the {len(members)} members of the contrast sets were never predicted for their class, and are "
            f"there for the probabilities that they were given: {errors} errors are too few to tell what CASE should "
            "contrast a class with."
        )


def _members(
    confmat: ConfusionMatrix, u: int, k: int, observed_only: bool, threshold: float
) -> tuple[ContrastMember, ...]:
    counts, soft = confmat.counts[u], confmat.soft[u]
    others = np.delete(np.arange(len(counts)), u)
    # lexsort takes its last key first: count, then soft confusion, both descending, then the class index.
    ranked = others[np.lexsort((others, -soft[others], -counts[others]))][:k]
    return tuple(
        ContrastMember(
            target_class=u,
            rank=rank,
            class_idx=int(v),
            source=ContrastSource.OBSERVED if counts[v] > 0 else ContrastSource.SOFT,
            count=int(counts[v]),
            weight=float(soft[v]),
        )
        for rank, v in enumerate(ranked)
        if (counts[v] > 0 or not observed_only) and soft[v] >= threshold
    )
