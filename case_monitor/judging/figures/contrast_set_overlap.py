"""How much two versions' contrast sets share, per class and as a mean over classes."""

from collections.abc import Iterator

import numpy as np

from case_monitor.domain.arrays import UNDEFINED
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.metrics import METRICS
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures.row import NO_IMAGE, summary_row

_METRIC = "contrast_jaccard"


def jaccard(first: set[int], second: set[int]) -> float:
    """|A n B| / |A u B|; 1 for two empty sets, which are equal.

    Example:
        >>> jaccard({1, 2, 3}, {2, 3, 4})
        0.5
    """
    union = first | second
    return len(first & second) / len(union) if union else 1.0


def overlap_summaries(
    first: ContrastSets, second: ContrastSets, confidence_level: float, seed: int
) -> Iterator[MetricSummary]:
    """Jaccard indices of the sets of two versions; NaN for classes without an image."""
    pairs = zip(first.members, second.members, strict=True)
    unseen = {*first.unseen, *second.unseen}
    values = np.array(
        [
            UNDEFINED if u in unseen else jaccard({m.class_idx for m in ours}, {m.class_idx for m in theirs})
            for u, (ours, theirs) in enumerate(pairs)
        ]
    )
    yield summary_row(
        _METRIC,
        "",
        values,
        np.mean,
        confidence_level=confidence_level,
        seed=seed,
        reference=METRICS[_METRIC].reference or 0.0,
        because=NO_IMAGE,
    )
    for u, value in enumerate(values.tolist()):
        seen = u not in unseen
        yield MetricSummary(
            metric=_METRIC,
            method="",
            class_idx=u,
            value=value,
            n=int(seen),
            n_undefined=int(not seen),
            undefined_because=None if seen else NO_IMAGE,
        )
