"""The passes over a split: predict with a version, explain a sample with it, compare its maps with another's.

Each is a map over shards and a reduction that takes them in order, so that the cut changes no number.
"""

from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeVar

import numpy as np
from torch import nn

from case_monitor.core.comparison import Measured
from case_monitor.core.contrast import contrast_sets
from case_monitor.core.drift import Explained, drift_methods
from case_monitor.core.engine import Engine, Job, Threads
from case_monitor.core.explanation import Sample, join_explained
from case_monitor.core.jobs import CompareExplanations, Explain, Predict, Survey, Surveyed
from case_monitor.core.predicted_split import PredictedSplit, join_predicted
from case_monitor.core.predictions import Progress
from case_monitor.core.records import (
    ContrastSets,
    FloatArray,
    Gallery,
    PredictedClasses,
    SampleScores,
)
from case_monitor.core.setup import Setup
from case_monitor.core.shards import DEFAULT_SHARD_SIZE, Shard, cut, explained_at_once

T = TypeVar("T")
IN_TURN = Threads()
NOTHING_KNOWN: Mapping[str, SampleScores] = MappingProxyType({})
_ONE = (Shard(number=0, start=0, stop=1),)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What was found out about one version."""

    setup: Setup
    explained: Explained
    batch_size: int
    predicted: PredictedSplit
    contrasts: ContrastSets
    scores: SampleScores
    gallery: Gallery

    @property
    def preds(self) -> PredictedClasses:
        """Of every image."""
        return self.predicted.classes

    @property
    def measured(self) -> Measured:
        """What comparisons are made of."""
        view = self.setup.split.field_of_view
        return Measured(preds=self.preds, contrasts=self.contrasts, scores=self.scores, field_of_view=view)


class Passes:
    """The passes over the whole split, as one version sees it."""

    def __init__(
        self, setup: Setup, progress: Progress, engine: Engine = IN_TURN, shard_size: int = DEFAULT_SHARD_SIZE
    ) -> None:
        self._setup, self._progress = setup, progress
        self._engine, self._shard_size = engine, shard_size

    def measure(
        self, model: nn.Module, target_layer: str, known: Mapping[str, SampleScores] = NOTHING_KNOWN, *, of: str = ""
    ) -> Found:
        """Predict and explain with one version; scores that are `known` of the layer are not computed again."""
        protocol = self._setup.protocol
        about = self.survey(model, target_layer)
        predicted = self.predict(model, about, f"predict{of}")
        contrasts = contrast_sets(predicted.confmat, protocol.contrast_k, observed_only=protocol.observed_only)
        explained = Explained(model=model, layer=about.layer, contrast=contrasts.weights())
        scores, gallery = known.get(about.layer), Gallery.empty()
        if scores is None:
            scores, gallery = self.explain(explained, predicted.sample, about.batch_size, f"explain{of}")
        return Found(
            setup=self._setup,
            explained=explained,
            batch_size=about.batch_size,
            predicted=predicted,
            contrasts=contrasts,
            scores=scores,
            gallery=gallery,
        )

    def survey(self, model: nn.Module, target_layer: str) -> Surveyed:
        """What all shards must agree on."""
        job = Survey(setup=self._setup, model=model, target_layer=target_layer)
        [found] = self._engine.map(job, _ONE, lambda _: None)
        return found

    def predict(self, model: nn.Module, about: Surveyed, stage: str) -> PredictedSplit:
        """Predict every image."""
        job = Predict(setup=self._setup, model=model, layer=about.layer, batch_size=about.batch_size, name=stage)
        shards = cut(self._setup.split.size, self._shard_size, about.batch_size)
        with closing(self._map(job, shards)) as parts:
            return join_predicted(parts, self._setup)

    def explain(
        self, explained: Explained, sample: Sample, batch_size: int, stage: str
    ) -> tuple[SampleScores, Gallery]:
        """Explain the sample."""
        job = Explain(setup=self._setup, explained=explained, sample=sample, batch_size=batch_size, name=stage)
        with closing(self._map(job, self._cut_sample(len(sample.indices), batch_size))) as parts:
            return join_explained(parts, sample, self._setup.protocol)

    def drift(self, candidate: Found, baseline: Found) -> dict[str, FloatArray]:
        """Agreement of both versions' maps, of the images that the candidate was explained on.

        NaN where the two see different parts of an image, so that their maps cannot be laid over each other.
        """
        methods = drift_methods(self._setup.protocol)
        sample, batch_size = candidate.predicted.sample, min(candidate.batch_size, baseline.batch_size)
        if candidate.setup.split.field_of_view != baseline.setup.split.field_of_view:
            return {method: np.full(len(sample.indices), np.nan) for method in methods}
        job = CompareExplanations(
            setup=candidate.setup,
            candidate=candidate.explained,
            baseline_setup=baseline.setup,
            baseline=baseline.explained,
            indices=sample.indices,
            batch_size=batch_size,
        )
        shards = self._cut_sample(len(sample.indices), batch_size) if methods else ()
        with closing(self._map(job, shards)) as parts:
            found = list(parts)
        return {m: np.concatenate([part[m] for part in found]) if found else np.empty(0) for m in methods}

    def _cut_sample(self, total: int, batch_size: int) -> tuple[Shard, ...]:
        return cut(total, explained_at_once(self._shard_size), batch_size)

    def _map(self, job: Job[T], shards: Sequence[Shard]) -> Generator[T]:
        """Closing what this returns puts models back as they were, also after an error in what takes the results."""
        total = shards[-1].stop if shards else 0
        if shards:
            with closing(self._engine.map(job, shards, lambda done: self._progress(job.name, done, total))) as parts:
                yield from parts
