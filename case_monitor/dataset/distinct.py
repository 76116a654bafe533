"""Each image counts once: ten images thirty times over are no evidence of three hundred."""

from collections import Counter
from dataclasses import replace

import numpy as np

from case_monitor.dataset.raw_split import RawSplit


def distinct(raw: RawSplit) -> RawSplit:
    """The split without images that stand there before with the same classes, pixel by pixel; `notes` say how many."""
    classes = [(u,) for u in raw.labels.tolist()]
    if raw.also:
        classes = [tuple(sorted((*own, *others))) for own, others in zip(classes, raw.also, strict=True)]
    pairs = list(zip(raw.pixels or raw.contents, classes, strict=True))
    first: dict[tuple[bytes, tuple[int, ...]], int] = {}
    for place, pair in enumerate(pairs):
        first.setdefault(pair, place)
    torn = sum(count > 1 for count in Counter(content for content, _ in first).values())
    if torn:
        note = f"{torn} images of {raw.name!r} stand there under several classes: no model can be right about all."
        raw = replace(raw, notes=(*raw.notes, note))
    if len(first) == len(pairs):
        return raw
    repeated = len(pairs) - len(first)
    note = f"{repeated} of the {len(pairs)} images of {raw.name!r} repeat another one: each counts once."
    return raw.only(np.array(list(first.values())), note)
