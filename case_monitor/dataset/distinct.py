"""Each image counts once: ten images thirty times over are no evidence of three hundred."""

from collections import Counter
from dataclasses import replace

import numpy as np
from torch.utils.data import Subset

from case_monitor.dataset.raw_split import RawSplit


def distinct(raw: RawSplit) -> RawSplit:
    """The split without images that stand there before with the same class, pixel by pixel; `notes` say how many."""
    pairs = list(zip(raw.pixels or raw.contents, raw.labels.tolist(), strict=True))
    first: dict[tuple[bytes, int], int] = {}
    for place, pair in enumerate(pairs):
        first.setdefault(pair, place)
    notes = raw.notes
    torn = sum(count > 1 for count in Counter(content for content, _ in first).values())
    if torn:
        notes += (f"{torn} images of {raw.name!r} stand there under several classes: no model can be right about all.",)
    if len(first) == len(pairs):
        return replace(raw, notes=notes)
    repeated = len(pairs) - len(first)
    notes += (f"{repeated} of the {len(pairs)} images of {raw.name!r} repeat another one: each counts once.",)
    places = list(first.values())
    return replace(
        raw,
        images=Subset(raw.images, places),
        sample_ids=tuple(raw.sample_ids[i] for i in places),
        labels=raw.labels[np.array(places)],
        contents=tuple(raw.contents[i] for i in places),
        pixels=tuple(raw.pixels[i] for i in places) if raw.pixels else (),
        scales=tuple(raw.scales[i] for i in places) if raw.scales else (),
        notes=notes,
    )
