"""Forward passes over images without some of their pixels: equal masks of the same image run once."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from case_monitor.domain.errors import ConfigError
from case_monitor.domain.protocol import FILLS

Logits = Callable[[Tensor], Tensor]


def fill_image(images: Tensor, fill: str) -> Tensor:
    """What replaces removed pixels: (B, C, H, W) -> (B, C, H, W).

    `mean` is 0 in normalised space, the data set's mean colour. `blur` is a Gaussian whose SD is 5/224 of the shorter
    side, at least one pixel.
    """
    if fill == "mean":
        return torch.zeros_like(images)
    if fill != "blur":
        msg = f"fill: one of {', '.join(FILLS)} was expected, {fill!r} came"
        raise ConfigError(msg)
    channels, side = images.shape[1], min(images.shape[-2:])
    sigma = max(1.0, 5 * side / 224)
    radius = min(math.ceil(3 * sigma), side - 1)
    offsets = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(offsets**2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    padded = F.pad(images, (radius,) * 4, mode="reflect")
    rows = F.conv2d(padded, kernel.view(1, 1, -1, 1).expand(channels, 1, -1, 1), groups=channels)
    return F.conv2d(rows, kernel.view(1, 1, 1, -1).expand(channels, 1, 1, -1), groups=channels)


@dataclass(frozen=True, slots=True, eq=False)
class Answered:
    """What passes gave, of any shape (...).

    Attributes:
        confidence: float64 softmax probability of the first class.
        margin: float64 its logit less the second class's; no saturation and no shift of all logits changes it.
    """

    confidence: Tensor
    margin: Tensor

    @property
    def is_number(self) -> Tensor:
        """(...) bool."""
        return self.confidence.isfinite() & self.margin.isfinite()


class Question:
    """What is asked about images, whatever was made of them.

    Args:
        logits: the model, (B, C, H, W) -> (B, num_classes).
        classes: (B, 2) the first and the second class of each image.
        excluded: (B, num_classes) bool, classes that have no part in probabilities; None: all have.
    """

    def __init__(self, logits: Logits, classes: Tensor, excluded: Tensor | None = None) -> None:
        self._logits, self._classes, self._excluded = logits, classes, excluded

    @torch.no_grad()
    def of(self, images: Tensor, places: Tensor) -> Answered:
        """(P,) of what was made of the images at these places (P,): (P, C, H, W)."""
        came, classes = self._logits(images).double(), self._classes[places]
        of_two = came.gather(1, classes)
        if self._excluded is not None:
            # NaN stays: whether a pass gave numbers does not depend on what is asked.
            came = came.masked_fill(self._excluded[places] & came.isfinite(), -torch.inf)
        return Answered(came.softmax(1).gather(1, classes[:, :1]).squeeze(1), of_two[:, 0] - of_two[:, 1])


class MaskedPasses:
    """Passes over masked images.

    Args:
        masks: (A, Q, B, H, W) bool, which pixels are taken away: Q masks of each area and image.
        fillings: (F, B, C, H, W) what replaces them.
        images: (B, C, H, W).
        question: asked about each.
    """

    def __init__(self, masks: Tensor, fillings: Tensor, images: Tensor, question: Question) -> None:
        self._masks, self._fillings, self._images, self._question = masks, fillings, images, question
        self._some = masks.flatten(-2).any(-1)  # (A, Q, B)
        self._first = _first_equal(masks)  # (A, Q, B)
        own = self._first == torch.arange(masks.shape[1], device=masks.device).view(-1, 1)
        self._rows = (
            (own & self._some).unsqueeze(1).expand(-1, len(fillings), -1, -1).nonzero()
        )  # area, fill, mask, image

    def unmasked(self, batch_size: int) -> Answered:
        """(B,) of the images as they are."""
        every = torch.arange(len(self._images), device=self._images.device)
        parts = [self._question.of(self._images[part], part) for part in torch.split(every, batch_size)]
        return Answered(torch.cat([part.confidence for part in parts]), torch.cat([part.margin for part in parts]))

    def masked(self, batch_size: int) -> Answered:
        """(A, F, Q, B) without the pixels; NaN where none was to be taken away."""
        areas, masks, images = self._first.shape
        after = torch.full((2, areas, len(self._fillings), masks, images), torch.nan, dtype=torch.float64)
        after = after.to(self._images.device)
        for rows in torch.split(self._rows, batch_size) if len(self._rows) else ():
            a, f, q, i = rows.T
            pixels = torch.where(self._masks[a, q, i].unsqueeze(1), self._fillings[f, i], self._images[i])
            came = self._question.of(pixels, i)
            after[0, a, f, q, i], after[1, a, f, q, i] = came.confidence, came.margin
        source = self._first.unsqueeze(1).expand(after.shape[1:])
        return Answered(*(of.gather(2, source) for of in after))

    def broken(self, after: Answered) -> Tensor:
        """(B,) passes that were run and gave no number."""
        return (self._some.unsqueeze(1) & ~after.is_number).sum((0, 1, 2))


def _first_equal(masks: Tensor) -> Tensor:
    """(A, Q, B) the number of the first mask (A, Q, B, H, W) that is the same for the same area and image."""
    first = torch.arange(masks.shape[1], device=masks.device).view(1, -1, 1).repeat(len(masks), 1, masks.shape[2])
    sizes = masks.sum((-2, -1))
    for q in range(masks.shape[1]):
        for earlier in range(q):
            same = (sizes[:, q] == sizes[:, earlier]) & (first[:, q] == q)
            if same.any():
                same[same.clone()] = (masks[:, q][same] == masks[:, earlier][same]).flatten(1).all(1)
                first[:, q] = torch.where(same, earlier, first[:, q])
    return first
