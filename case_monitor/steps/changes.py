"""What is not as it was, or not alike, and must be said with a verdict that rests on a comparison."""

from collections.abc import Iterator

from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.split import Split
from case_monitor.settings import Preprocessing
from case_monitor.store.read.evaluations import StoredEvaluation


def since_evaluated(stored: StoredEvaluation | None, now: Split) -> Iterator[str]:
    """What changed about the images since a version was evaluated last.

    Args:
        stored: that evaluation, if there is one.
        now: the images as that version sees them now.
    """
    if stored is None or stored.split_digest == now.digest:
        return
    when = f"since {stored.model}, in production, was evaluated on {stored.updated_at:%Y-%m-%d}"
    if stored.images_digest is None:  # by a package that did not note it
        yield f"The images of {now.name!r}, their labels or their preprocessing have changed {when}."
        return
    if stored.images_digest != now.images_digest:
        yield f"The images of {now.name!r} have changed {when}: there were {stored.split_size}, there are {now.size}."
    elif stored.labels_digest != now.labels_digest:
        yield f"The labels of {now.name!r} have changed {when}; the images are the same."
    elif stored.class_names == now.class_names:
        yield f"The preprocessing of {now.name!r} for {stored.model} has changed {when}."


def between(
    candidate: ModelVersion,
    split: Split,
    preprocessing: Preprocessing | None,
    baseline: ModelVersion,
    baseline_split: Split,
    baseline_preprocessing: Preprocessing | None,
) -> Iterator[str]:
    """What is not alike about the images of two versions: each is measured through its own eyes."""
    if preprocessing != baseline_preprocessing:
        ours, theirs = (p.model_dump() if p else {} for p in (preprocessing, baseline_preprocessing))
        fields = [f for f in Preprocessing.model_fields if ours.get(f) != theirs.get(f)]
        sides = "; ".join(f"{f} {ours.get(f)} and {theirs.get(f)}" for f in fields)
        yield f"{candidate} and {baseline}, in production, prepare images differently, and each got its own: {sides}."
    if split.class_names != baseline_split.class_names:
        yield f"{candidate} and {baseline}, in production, order their classes differently: they are paired by name."
