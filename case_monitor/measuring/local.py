"""A version that is loaded here: predicts a split, explains a sample, compares its maps with another's.

Each is a map over shards and a reduction that takes them in order, so that the cut changes no number.
"""

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Self, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.methods import drift_methods
from case_monitor.domain.predictions import PredictedPart
from case_monitor.domain.progress import Progress, no_progress
from case_monitor.domain.protocol import DEFAULT_SHARD_SIZE, OF_IMAGE, Protocol
from case_monitor.domain.sample import Sample
from case_monitor.domain.scores import SampleScores
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.drift import CompareExplanations
from case_monitor.measuring.explain import Explain, join_explained
from case_monitor.measuring.explained import Explained
from case_monitor.measuring.image_source import ImageSource
from case_monitor.measuring.measured_model import MeasuredModel, Surveyed
from case_monitor.measuring.predict import Predict
from case_monitor.measuring.survey import ListLayers, Survey
from case_monitor.measuring.workers.shards import Shard, cut, explained_at_once
from case_monitor.measuring.workers.threads import Threads
from case_monitor.measuring.workers.work import ShardWork, Workers

T = TypeVar("T")
IN_TURN = Threads()
_PAIR = 2  # a graph that was exported for any number of images takes two, and maybe not one
_ONE = (Shard(number=0, start=0, stop=1),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Where versions are measured: no number depends on it, but for rounding.

    Attributes:
        device: torch device, to which models are moved.
        workers: who works on the shards of a split; by default this process, one after the other.
        shard_size: images in a shard.
        progress: called as work goes on.
    """

    device: str = "cpu"
    workers: Workers = IN_TURN
    shard_size: int = DEFAULT_SHARD_SIZE
    progress: Progress = no_progress


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalMeasurer:
    """A model with its images, and how and where it is measured."""

    model: MeasuredModel
    conditions: Conditions
    bench: Bench

    @property
    def device(self) -> str:
        return self.conditions.device

    @property
    def torch_version(self) -> str:
        return torch.__version__

    def end(self) -> None:
        self.model.end()

    def at(self, target_layer: str, known: bool = False) -> "LocalLayer":
        work = Survey(conditions=self.conditions, model=self.model, target_layer=target_layer, known=known)
        [found] = self.bench.workers.map(work, _ONE, lambda _: None)
        return LocalLayer(version=self, found=found)

    def layers(self) -> tuple[str, ...]:
        work = ListLayers(conditions=self.conditions, model=self.model)
        [found] = self.bench.workers.map(work, _ONE, lambda _: None)
        return found

    def under(self, protocol: Protocol) -> Self:
        conditions = replace(self.conditions, protocol=protocol)
        return replace(self, model=self.model.under(protocol), conditions=conditions)

    def with_pixels(self, indices: IntArray, donors: IntArray, pixels: IntArray) -> Self:
        source = _WithPixels(self.conditions.source, indices, donors, torch.from_numpy(pixels))
        return replace(self, conditions=replace(self.conditions, source=source))

    def of_images(self, indices: Sequence[int]) -> Self:
        part = _Part(self.conditions.source, indices)
        return replace(self, conditions=replace(self.conditions, source=part))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalLayer:
    """The version at one layer."""

    version: LocalMeasurer
    found: Surveyed

    @property
    def layer(self) -> str:
        return self.found.layer

    @property
    def outputs(self) -> str:
        return self.found.outputs

    @property
    def isolation(self) -> str | None:
        return self.found.isolation

    def predict(self, stage: str) -> Generator[PredictedPart]:
        version, batch_size = self.version, self.found.batch_size
        work = Predict(
            conditions=version.conditions, model=version.model, layer=self.layer, batch_size=batch_size, name=stage
        )
        return _map(version.bench, work, cut(version.conditions.size, version.bench.shard_size, batch_size))

    def predict_pairs(self, indices: IntArray, stage: str) -> Generator[PredictedPart]:
        version = self.version
        work = Predict(
            conditions=version.conditions,
            model=version.model,
            layer=self.layer,
            batch_size=_PAIR,
            name=stage,
            indices=indices,
        )
        return _map(version.bench, work, cut(len(indices), len(indices), _PAIR))

    def explain(
        self, contrast_sets: ContrastSets, sample: Sample, shown: str, stage: str
    ) -> tuple[SampleScores, Gallery]:
        version, batch_size = self.version, self.found.batch_size
        work = Explain(
            conditions=version.conditions,
            explained=self._explained(contrast_sets),
            sample=sample,
            batch_size=batch_size,
            shown=shown,
            name=stage,
        )
        shards = _cut_sample(version.bench, len(sample.indices), batch_size)
        with closing(_map(version.bench, work, shards)) as parts:
            return join_explained(parts, sample, version.conditions.protocol, shown)

    def map_agreement(
        self, contrast_sets: ContrastSets, baseline: Self, baseline_sets: ContrastSets, indices: IntArray
    ) -> dict[str, FloatArray]:
        bench, conditions = self.version.bench, self.version.conditions
        methods = drift_methods(conditions.protocol)
        batch_size = min(self.found.batch_size, baseline.found.batch_size)
        work = CompareExplanations(
            conditions=conditions,
            candidate=self._explained(contrast_sets),
            baseline_conditions=baseline.version.conditions,
            baseline=baseline._explained(baseline_sets),
            indices=indices,
            batch_size=batch_size,
        )
        shards = _cut_sample(bench, len(indices), batch_size) if methods else ()
        with closing(_map(bench, work, shards)) as parts:
            found = list(parts)
        return {m: np.concatenate([part[m] for part in found]) if found else np.empty(0) for m in methods}

    def _explained(self, contrast_sets: ContrastSets) -> Explained:
        of_image = self.version.conditions.protocol.contrast == OF_IMAGE
        contrast = None if of_image else contrast_sets.weights()
        return Explained(model=self.version.model, layer=self.layer, contrast=contrast, outputs=self.outputs)


def _cut_sample(bench: Bench, total: int, batch_size: int) -> tuple[Shard, ...]:
    return cut(total, explained_at_once(bench.shard_size), batch_size)


def _map(bench: Bench, work: ShardWork[T], shards: Sequence[Shard]) -> Generator[T]:
    """Closing what this returns puts models back as they were, also after an error in what takes the results."""
    total = shards[-1].stop if shards else 0
    if shards:
        with closing(bench.workers.map(work, shards, lambda done: bench.progress(work.name, done, total))) as parts:
            yield from parts


class _Part:
    """Some images of a source, as a source."""

    def __init__(self, source: ImageSource, indices: Sequence[int]) -> None:
        self._source, self._indices = source, indices
        self.sample_ids = tuple(source.sample_ids[i] for i in indices)
        self.target = source.target[list(indices)]
        self.excluded = None if source.excluded is None else source.excluded[list(indices)]

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        return self._source.batches([self._indices[i] for i in indices], batch_size)

    def objects(self, indices: Sequence[int]) -> Tensor | None:
        return self._source.objects([self._indices[i] for i in indices])

    def to_display(self, images: Tensor) -> npt.NDArray[np.uint8]:
        return self._source.to_display(images)


class _WithPixels(_Part):
    """Some images of a source, with some pixels of others."""

    def __init__(self, source: ImageSource, indices: IntArray, donors: IntArray, pixels: Tensor) -> None:
        super().__init__(source, indices.tolist())
        self._given, self._pixels = _Part(source, donors.tolist()), pixels

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        both = zip(super().batches(indices, batch_size), self._given.batches(indices, batch_size), strict=True)
        for receiving, giving in both:
            changed = receiving.flatten(2).clone()
            changed[:, :, self._pixels] = giving.flatten(2)[:, :, self._pixels]
            yield changed.view_as(receiving)
