"""What is done with the shards of a split: look at the model, predict, explain, compare explanations."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from case_monitor.core.channels import ChannelActivity
from case_monitor.core.drift import Explained, Shown, map_agreement
from case_monitor.core.engine import Report
from case_monitor.core.explanation import ExplainedPart, Explainer, Sample
from case_monitor.core.predictions import logits_of_batches
from case_monitor.core.records import FloatArray, IntArray
from case_monitor.core.saliency import tap_layer
from case_monitor.core.setup import Setup
from case_monitor.core.shards import Shard


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What every other job on a model must agree on."""

    layer: str
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """Finds the target layer, and how many images to take at once, where the work will be done."""

    setup: Setup
    model: nn.Module
    target_layer: str
    name: str = "look at the model"

    @property
    def parts(self) -> tuple[object, ...]:
        return self.model, self.setup.source

    def run(self, shards: Sequence[Shard], _report: Report) -> Iterator[Surveyed]:
        for _ in shards:
            layer = self.setup.find_layer(self.model) if self.target_layer == "auto" else self.target_layer
            with self.setup.prepared(self.model):
                batch_size = self.setup.batch_size(self.model)
            yield Surveyed(layer=layer, batch_size=batch_size)

    def apart(self) -> Self:
        return replace(self, model=self.setup.copied(self.model))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictedPart:
    """Of one shard: logits (n, C), and active channels (n,) of the target layer."""

    logits: npt.NDArray[np.float32]
    active_channels: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predict:
    """Predicts all images, and counts active channels in the same pass."""

    setup: Setup
    model: nn.Module
    layer: str
    batch_size: int
    name: str = "predict"

    @property
    def parts(self) -> tuple[object, ...]:
        return self.model, self.setup.source

    def run(self, shards: Sequence[Shard], report: Report) -> Iterator[PredictedPart]:
        setup = self.setup
        with setup.prepared(self.model):
            tap = tap_layer(self.model, self.layer, output_key=setup.protocol.output_key)
            activity = ChannelActivity(setup.protocol.activity_threshold)

            def logits(images: Tensor) -> Tensor:
                def look(output: Tensor) -> Tensor:
                    activity(tap.layout(output, images).to_grid(output))
                    return output

                return tap(images, look)

            indices = range(shards[0].start, shards[-1].stop)
            batches = logits_of_batches(
                logits, setup.source, indices, setup.split.num_classes, self.batch_size, setup.device
            )
            seen = 0
            for shard in shards:
                parts: list[npt.NDArray[np.float32]] = []
                while sum(map(len, parts)) < len(shard):
                    parts.append(next(batches))
                    seen += len(parts[-1])
                    report(seen)
                yield PredictedPart(logits=np.concatenate(parts), active_channels=activity.taken())

    def apart(self) -> Self:
        return replace(self, model=self.setup.copied(self.model))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explain:
    """Explains the sample."""

    setup: Setup
    explained: Explained
    sample: Sample
    batch_size: int
    name: str = "explain"

    @property
    def parts(self) -> tuple[object, ...]:
        return self.explained.model, self.setup.source

    def run(self, shards: Sequence[Shard], report: Report) -> Iterator[ExplainedPart]:
        explainer = Explainer(
            self.explained, self.setup.source, self.setup.protocol, self.setup.device, self.batch_size
        )
        with self.setup.prepared(self.explained.model):
            yield from explainer.explain(self.sample, shards, report)

    def apart(self) -> Self:
        return replace(self, explained=_apart(self.setup, self.explained))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompareExplanations:
    """Compares both versions' maps of the sample, each of its own images: method -> (n,) agreement."""

    setup: Setup
    candidate: Explained
    baseline_setup: Setup
    baseline: Explained
    indices: IntArray
    batch_size: int
    name: str = "compare explanations"

    @property
    def parts(self) -> tuple[object, ...]:
        return self.candidate.model, self.baseline.model, self.setup.source, self.baseline_setup.source

    def run(self, shards: Sequence[Shard], report: Report) -> Iterator[dict[str, FloatArray]]:
        start, stop = shards[0].start, shards[-1].stop
        batches = self._batches(self.setup, start, stop)
        same = self.baseline_setup.source is self.setup.source  # read once, where both want them alike
        others = None if same else self._batches(self.baseline_setup, start, stop)
        for version in (self.candidate, self.baseline):
            version.model.to(self.setup.device)
        done = start
        for shard in shards:
            found: dict[str, list[FloatArray]] = defaultdict(list)
            while done < shard.stop:
                ours = next(batches)
                theirs = ours if others is None else next(others)
                batch = map_agreement(self.candidate, self.baseline, ours, theirs, self.setup.protocol)
                for method, values in batch.items():
                    found[method].append(values)
                done += len(ours.images)
                report(done - start)
            yield {method: np.concatenate(values) for method, values in found.items()}

    def _batches(self, setup: Setup, start: int, stop: int) -> Iterator[Shown]:
        indices = self.indices[start:stop]
        done = 0
        for images in setup.source.batches(indices.tolist(), self.batch_size):
            classes = setup.source.target[indices[done : done + len(images)]]
            yield Shown(images=images.to(setup.device), classes=torch.from_numpy(classes).to(setup.device))
            done += len(images)

    def apart(self) -> Self:
        candidate, baseline = _apart(self.setup, self.candidate), _apart(self.baseline_setup, self.baseline)
        return replace(self, candidate=candidate, baseline=baseline)


def _apart(setup: Setup, version: Explained) -> Explained:
    return replace(version, model=setup.copied(version.model))
