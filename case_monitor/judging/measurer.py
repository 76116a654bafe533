"""What the judging side asks of the measuring side: plain records and arrays come back, and no model is seen here."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, Self

from case_monitor.domain.arrays import BoolArray, FloatArray, IntArray
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.predictions import PredictedPart
from case_monitor.domain.protocol import Protocol as HowToMeasure
from case_monitor.domain.sample import Sample
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.split import Split


class LayerMeasurer(Protocol):
    """A version that is measured at one layer."""

    @property
    def layer(self) -> str:
        """Whose output the maps are of."""
        ...

    @property
    def outputs(self) -> str:
        """What the model returns, of `OUTPUTS`."""
        ...

    @property
    def isolation(self) -> str | None:
        """How far the model is shut in; None: it is not."""
        ...

    def predict(self, stage: str) -> Generator[PredictedPart]:
        """The logits of every image, shard by shard, in the split's order. Close it when no more are wanted."""
        ...

    def predict_pairs(self, indices: IntArray, stage: str) -> Generator[PredictedPart]:
        """The logits of some images again, two at a time."""
        ...

    def explain(
        self, contrast_sets: ContrastSets, sample: Sample, shown: str, stage: str
    ) -> tuple[SampleScores, Gallery]:
        """Maps of the sample, of which scores are kept, and a gallery for people; `shown` is the method they see."""
        ...

    def map_agreement(
        self, contrast_sets: ContrastSets, baseline: Self, baseline_sets: ContrastSets, indices: IntArray
    ) -> dict[str, FloatArray]:
        """Method -> (n,) agreement of this version's maps and another's, of the images at `indices`."""
        ...


class Measurer(Protocol):
    """A version that can be measured."""

    @property
    def device(self) -> str:
        """Where it runs."""
        ...

    @property
    def torch_version(self) -> str:
        """With which it runs."""
        ...

    def at(self, target_layer: str, known: bool = False) -> LayerMeasurer:
        """The same at a layer, which is found where the name is `auto`; one that is not `known` must be a picture."""
        ...

    def layers(self) -> tuple[str, ...]:
        """Some layers that it could be measured at, from the first to the last."""
        ...

    def under(self, protocol: HowToMeasure) -> Self:
        """The same, measured in another way."""
        ...

    def with_pixels(self, indices: IntArray, donors: IntArray, pixels: IntArray) -> Self:
        """The same with the images at `indices` (n,), whose `pixels` (p,) are those of the images at `donors` (n,)."""
        ...

    def of_images(self, indices: Sequence[int]) -> Self:
        """The same with only these images."""
        ...

    def end(self) -> None:
        """Give up what it holds, until it is asked again."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """A version to be judged, or to be compared with.

    Attributes:
        version: its identity.
        split: the images' identity, in the version's own order of classes.
        sample_ids: (N,) names of the images.
        target: (N,) their classes, in that order.
        measurer: measures it.
        excluded: (N, C) classes that each image is of beside its own; None: there are none.
        declared_layer: the target layer that its metadata names.
        scores: what is stored of it for the same images and protocol, by layer; it is not explained anew.
    """

    version: ModelVersion
    split: Split
    sample_ids: tuple[str, ...]
    target: IntArray
    measurer: Measurer
    excluded: BoolArray | None = None
    declared_layer: str | None = None
    scores: Mapping[str, SampleScores] = field(default_factory=dict)
