"""Contrastive deletion: does a map know which class it explains?

The pixels that speak for the first class u are taken away, and, apart from that, as many that speak for the second
class v. If a map knows the two apart, the model then holds more to u without v's pixels than without u's own:
c = m(x without T_v) - m(x without T_u) > 0, in the margin m = s_u - s_v of logits.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.measuring.fidelity import finite
from case_monitor.measuring.masked_passes import Logits, MaskedPasses, Question, fill_image
from case_monitor.measuring.top_pixels import count_on_top, top_count_mask, top_fraction_mask

PAIR_FRACTION = 0.2
"""Of the pixels, taken away by the pair map."""
SHOWN_FRACTION = 0.1
"""Of the pixels, taken away by the two maps of the method that people are shown."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Opposed:
    """Two maps (B, H, W) that speak for one class each, and how much of each is looked at."""

    first: Tensor
    second: Tensor
    fraction: float

    @property
    def counts(self) -> Tensor:
        """(2, B) how many pixels each has by itself."""
        return torch.stack([count_on_top(of, self.fraction) for of in (self.first, self.second)])

    def pixels(self) -> Tensor:
        """(2, B, H, W) bool, as many of the one as of the other: the fewer that either has."""
        counts = self.counts
        fewer = counts.amin(0)
        return torch.stack(
            [self._cut(of, own, fewer) for of, own in zip((self.first, self.second), counts, strict=True)]
        )

    def _cut(self, maps: Tensor, counts: Tensor, fewer: Tensor) -> Tensor:
        masks = top_fraction_mask(maps, self.fraction)
        more = counts > fewer
        if more.any():  # sorting all pixels is slow, and most often both have the whole fraction
            masks[more] = top_count_mask(maps[more], fewer[more])
        return masks


def opposed_by_pair(pair: Tensor) -> Opposed:
    """The two sides of pair maps (B, H, W): positive where u is seen, negative where v is."""
    return Opposed(first=pair.relu(), second=(-pair).relu(), fraction=PAIR_FRACTION)


def opposed_by_shown(shown: Tensor) -> Opposed:
    """The two maps (B, 2, H, W) that people are shown."""
    return Opposed(first=shown[:, 0], second=shown[:, 1], fraction=SHOWN_FRACTION)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contrasts:
    """What came of it: name -> (B,) c, NaN where a side has no pixel or the model gives NaN; and (B,) broken passes."""

    values: dict[str, FloatArray]
    broken: IntArray


def contrastive_deletion(
    logits: Logits,
    images: Tensor,
    classes: Tensor,
    sides: Mapping[str, Opposed],
    *,
    fill: str,
    batch_size: int,
) -> Contrasts:
    """The c of every pair of maps.

    Args:
        logits: the model, (B, C, H, W) -> (B, num_classes).
        images: (B, C, H, W).
        classes: (B, 2) u and v.
        sides: name of the score -> maps that speak for u and for v.
        fill: what replaces pixels.
        batch_size: images per forward pass.
    """
    masks = torch.cat([opposed.pixels() for opposed in sides.values()])  # (2S, B, H, W)
    question = Question(logits, classes)
    passes = MaskedPasses(masks.unsqueeze(0), fill_image(images, fill).unsqueeze(0), images, question)
    after = passes.masked(batch_size)
    without_u, without_v = torch.unflatten(after.margin[0, 0], 0, (-1, 2)).unbind(1)  # (S, B) each
    values = dict(zip(sides, finite(without_v - without_u), strict=True))
    return Contrasts(values=values, broken=passes.broken(after).cpu().numpy())
