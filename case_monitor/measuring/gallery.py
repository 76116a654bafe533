"""Which explained images are kept for people to look at: some of every class, and those whose maps agree most.

Keeping the worst of a stretch, then of what several stretches kept, gives the same as keeping the worst of all.
"""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.gallery import INPUT_RANGE, Gallery, ModelInputs
from case_monitor.domain.predictions import Predictions
from case_monitor.saliency import resize_maps

GALLERY_SIZE = 6
WORST_SIZE = 16


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """An explained image that is kept.

    Attributes:
        likeness: how alike its maps for two classes are, in [0, 1].
        image: (H, W, 3) uint8, as a person would see it.
        input: (C, H, W) float32, as the model gets it, of those chosen by their class; None of others.
        maps: method -> (2, h, w) as small as the layer, for the top-1 and the top-2 class.
    """

    likeness: float
    image: npt.NDArray[np.uint8]
    input: Tensor | None
    maps: Mapping[str, Tensor]


def gallery_places(target: IntArray) -> list[int]:
    """Up to `GALLERY_SIZE` positions, of as many different classes as possible, in order."""
    seen: dict[int, int] = defaultdict(int)
    turns = []
    for i, u in enumerate(target.tolist()):
        turns.append((seen[u], i))
        seen[u] += 1
    return sorted(i for _, i in sorted(turns)[:GALLERY_SIZE])


def likeness(values: Mapping[tuple[str, str], FloatArray], methods: Sequence[str]) -> FloatArray:
    """(n,) mean agreement over the methods; an undefined one counts as 1, since a degenerate map tells nothing apart.

    Example:
        >>> scores = {("a", "agreement"): np.array([0.5, np.nan]), ("b", "agreement"): np.array([0.0, 0.5])}
        >>> likeness(scores, ("a", "b")).tolist()
        [0.25, 0.75]
    """
    total = np.zeros(len(values[methods[0], "agreement"]))
    for method in methods:  # one by one: the sum must not depend on how many images there are
        total += np.nan_to_num(values[method, "agreement"], nan=1.0)
    return total / len(methods)


def chosen_places(likeness: Mapping[int, float], by_class: Collection[int]) -> list[int]:
    """Those of `by_class` that are there, in order, then the `WORST_SIZE` others that are most alike, worst first.

    Of equal ones the first are taken.
    """
    others = sorted((-likeness[place], place) for place in likeness if place not in by_class)
    return [*(place for place in by_class if place in likeness), *(place for _, place in others[:WORST_SIZE])]


def kept(shown: Mapping[int, Shown], by_class: Collection[int]) -> dict[int, Shown]:
    """Those that stay, in the gallery's order, by their place in the sample."""
    chosen = chosen_places({place: image.likeness for place, image in shown.items()}, by_class)
    return {place: shown[place] for place in chosen}


def gallery_of(
    shown: Mapping[int, Shown], preds: Predictions, top2: IntArray, by_class: Collection[int], methods: Sequence[str]
) -> Gallery:
    """The gallery of the images that stayed, whose places are those of the sample's `preds` and `top2`."""
    if not shown:
        return Gallery.empty(tuple(methods))
    places = list(shown)
    inputs = [image.input for image in shown.values() if image.input is not None]
    images = np.stack([image.image for image in shown.values()])
    stacked = {m: torch.stack([image.maps[m] for image in shown.values()]) for m in methods}
    return Gallery(
        sample_ids=tuple(preds.sample_ids[place] for place in places),
        images=images,
        target=preds.target[places],
        top2=top2[places],
        maps={m: resize_maps(maps, images.shape[1:3]).numpy() for m, maps in stacked.items()},
        worst=sum(place not in by_class for place in places),
        inputs=model_inputs(torch.stack(inputs)) if inputs else None,
    )


def model_inputs(images: Tensor) -> ModelInputs:
    """Images (g, C, H, W) as the model gets them, for people to look at: the first three channels, or the first."""
    values = images.double()
    shown = values[:, :3] if values.shape[1] >= 3 else values[:, :1].expand(-1, 3, -1, -1)
    levels = (shown / INPUT_RANGE).nan_to_num(0.0).clamp(-1, 1).add(1).mul(127.5).round()
    return ModelInputs(
        pixels=levels.to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy(),
        means=values.mean((0, 2, 3)).numpy(),
        sds=values.std((0, 2, 3), correction=0).numpy(),
    )
