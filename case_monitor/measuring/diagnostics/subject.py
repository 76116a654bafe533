"""What a diagnostic is about: a batch with its maps, and the model to be asked again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from case_monitor.domain.arrays import IntArray
from case_monitor.measuring.diagnostics.order import level_order, ranks
from case_monitor.measuring.masked_passes import Question, fill_image

STEPS = 20
"""Parts of the pixels that a curve deletes or inserts one after the other."""

Explain = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
"""Images (B, C, H, W) and classes (B, K) -> method -> maps (B, K, h, w), as small as the layer."""


@dataclass(kw_only=True, eq=False)
class Subject:
    """A batch with its maps, and the model to be asked again; all of it on one device.

    Attributes:
        images: (B, C, H, W).
        classes: (B, 2) the class u that the maps are of, and the second.
        lowest: (B,) the least likely class.
        maps: method -> (B, H, W) maps of class u; `random` among them.
        small: method -> (B, h, w) the same as small as the layer, without `random`.
        control: (B, h, w) the random maps as small as the layer.
        seeds: (B,) of the images' random numbers.
        seed: the protocol's.
        fill: what replaces pixels.
        question: to the model.
        explain: by the methods of `small`.
        shuffled: the same of the model whose weights are shuffled in some stages of `STAGES`; None where it has none.
    """

    images: Tensor
    classes: Tensor
    lowest: Tensor
    maps: Mapping[str, Tensor]
    small: Mapping[str, Tensor]
    control: Tensor
    seeds: IntArray
    seed: int
    fill: str
    question: Question
    explain: Explain
    shuffled: Callable[[int], Explain] | None = None

    _under: dict[int, Mapping[str, Tensor]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.broken = torch.zeros(len(self.images), dtype=torch.int64, device=self.images.device)

    @cached_property
    def before(self) -> Tensor:
        """(B,) float64 confidence in class u of the images as they are."""
        return self.confidence(self.images)

    def confidence(self, images: Tensor) -> Tensor:
        """(B,) float64 softmax probability of class u of what was made of each image; NaN is counted as broken."""
        answered = self.question.of(images, torch.arange(len(images), device=images.device))
        self.broken += ~answered.is_number
        return answered.confidence

    def explained(self, images: Tensor, classes: Tensor) -> Mapping[str, Tensor]:
        """`explain`; maps that are not finite are counted as broken."""
        maps = self.explain(images, classes)
        for of_method in maps.values():
            self.broken += ~of_method.isfinite().flatten(1).all(1)
        return maps

    def under_shuffled(self, stage: int) -> Mapping[str, Tensor]:
        """Method -> (B, h, w) maps of class u under weights that are shuffled up to a stage; none where it has none."""
        if self.shuffled is None:
            return {}
        if stage not in self._under:
            found = self.shuffled(stage)(self.images, self.classes[:, :1])
            self._under[stage] = {method: maps[:, 0] for method, maps in found.items()}
        return self._under[stage]

    def random(self, place: int, diagnostic: int) -> np.random.Generator:
        """Random numbers of an image, the same whatever the batch."""
        return np.random.default_rng([self.seed, int(self.seeds[place]), diagnostic])

    @cached_property
    def ranks(self) -> Mapping[str, Tensor]:
        """Method -> (B, H, W) int64, 0 the pixel with the highest value; level ones in a random order."""
        level = level_order(self.seeds, self.seed, self.images.shape[-2:])
        return {method: ranks(of, level) for method, of in self.maps.items()}

    @cached_property
    def most_relevant_first(self) -> Mapping[str, Tensor]:
        """Method -> (STEPS + 1, B) confidence while pixels are deleted, highest first."""
        filled = fill_image(self.images, self.fill)
        return {method: self.curve(self.images, filled, order) for method, order in self.ranks.items()}

    def curve(self, start: Tensor, end: Tensor, order: Tensor) -> Tensor:
        """(STEPS + 1, B) confidence while the pixels of `start` are replaced by those of `end`, lowest rank first."""
        size = order[0].numel()
        first = self.before if start is self.images else self.confidence(start)
        last = self.before if end is self.images else self.confidence(end)
        steps = [
            self.confidence(torch.where((order < round(size * step / STEPS)).unsqueeze(1), end, start))
            for step in range(1, STEPS)
        ]
        return torch.stack([first, *steps, last])
