"""A model as the measuring side uses it, wherever it runs: images go in, arrays come out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt
from torch import Tensor

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.protocol import AUTO
from case_monitor.domain.protocol import Protocol as HowToMeasure
from case_monitor.measuring.diagnostics import Diagnosed
from case_monitor.measuring.fidelity import Drops

Progress = Callable[[float, int], None]
"""Called with how many images of a batch are done, and how many it has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What all work on a model must agree on: the target layer, and how many images to take at once.

    `outputs` is what the model returns, of `OUTPUTS`; `isolation` says how far it is shut in; None: it is not.
    """

    layer: str
    batch_size: int
    outputs: str
    isolation: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class At:
    """Where and how a model is explained.

    Attributes:
        layer: the target layer.
        contrast: class -> class -> weight in its contrast set; None: every image's own next classes.
        batch_size: images in a pass.
        shown: the method whose maps people are shown; None: the first of those that are measured.
        outputs: what the survey found that the model returns; `auto`: find it again.
    """

    layer: str
    contrast: Mapping[int, Mapping[int, float]] | None
    batch_size: int
    shown: str | None = None
    outputs: str = AUTO


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """What a model says about a batch: logits (B, C), and active channels (B,) of the target layer."""

    logits: npt.NDArray[np.float32]
    active_channels: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToExplain:
    """A batch to be explained.

    Attributes:
        images: (B, C, H, W).
        classes: (B, 2) the classes whose maps are asked for; confidence is followed in the first, which is told from
            the second.
        logits: (B, C) what the model said about them.
        seeds: (B,) of the images' random maps.
        excluded: (B, num_classes) classes that each image is of, too, which nothing is told from; None: there are none.
    """

    images: Tensor
    classes: Tensor
    logits: Tensor
    seeds: IntArray
    excluded: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evidence:
    """The maps of a batch that `evidence_maps` describes, as small as the layer.

    Attributes:
        pair: (B, 1, h, w) of the first class against the second.
        shown: (B, 2, h, w) of the method that people are shown.
        place: (B, 1, h, w) where the model looks.
    """

    pair: Tensor
    shown: Tensor
    place: Tensor


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explanation:
    """Of a batch: method -> (B, 2, h, w) maps, as small as the layer, and what came of what was asked with them."""

    maps: Mapping[str, Tensor]
    evidence: Evidence
    drops: Drops
    diagnosed: Diagnosed


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToDraw:
    """Images (B, C, H, W), the classes (B, K) whose maps are asked for, and those that are excluded, as above."""

    images: Tensor
    classes: Tensor
    excluded: Tensor | None = None


class MeasuredModel(Protocol):
    """Batches are taken as they are wanted, maybe some ahead, and answered in order.

    `first` are one or two images of the split, on which short cuts are tried before they are taken.
    """

    def survey(self, first: Tensor, target_layer: str, known: bool = False) -> Surveyed:
        """Find the layer, where its name is `auto`, and the size of batches; one that is not `known` must be one."""
        ...

    def layers(self, first: Tensor) -> tuple[str, ...]:
        """Some layers that could be explained, from the first to the last."""
        ...

    def predict(self, first: Tensor, batches: Iterator[Tensor], layer: str) -> Iterator[Answers]:
        """Answers to batches (B, C, H, W)."""
        ...

    def explain(self, first: Tensor, batches: Iterator[ToExplain], at: At, progress: Progress) -> Iterator[Explanation]:
        """Maps and drops of batches; `progress` is about the batch whose turn it is."""
        ...

    def draw(self, batches: Iterator[ToDraw], at: At, methods: Sequence[str]) -> Iterator[dict[str, Tensor]]:
        """Method -> maps (B, K, h, w), as small as the layer."""
        ...

    def under(self, protocol: HowToMeasure) -> Self:
        """The same model, measured by another protocol."""
        ...

    def apart(self, first: Tensor) -> Self:
        """The same model again, for another thread."""
        ...

    def end(self) -> None:
        """Give up what it holds, until it is asked again."""
        ...
