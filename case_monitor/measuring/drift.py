"""Explanation drift: do two versions of a model point at the same pixels of an image, for the same class?"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.methods import drift_methods
from case_monitor.measuring.class_sensitivity import agreement
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.explained import Explained, apart
from case_monitor.measuring.measured_model import ToDraw
from case_monitor.measuring.workers.shards import Shard
from case_monitor.measuring.workers.work import Report
from case_monitor.saliency import resize_maps


def map_agreement(
    candidate: Mapping[str, Tensor], baseline: Mapping[str, Tensor], size: Sequence[int]
) -> dict[str, FloatArray]:
    """Overlap of the top pixels of both versions' maps of a batch.

    Args:
        candidate, baseline: method -> (B, 1, h, w) maps, as small as the version's layer.
        size: (H, W) to compare them at: that of the candidate's images.

    Returns:
        method -> (B,) agreement in [0, 1]; NaN where either map is degenerate.
    """

    def enlarged(maps: Tensor) -> Tensor:
        return resize_maps(maps, size)[:, 0]

    return {m: agreement(enlarged(ours), enlarged(baseline[m])).cpu().numpy() for m, ours in candidate.items()}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompareExplanations:
    """Compares both versions' maps of the sample, each of its own images: method -> (n,) agreement."""

    conditions: Conditions
    candidate: Explained
    baseline_conditions: Conditions
    baseline: Explained
    indices: IntArray
    batch_size: int
    name: str = "compare explanations"

    @property
    def parts(self) -> tuple[object, ...]:
        return self.candidate.model, self.baseline.model, self.conditions.source, self.baseline_conditions.source

    def run(self, shards: Sequence[Shard], report: Report) -> Iterator[dict[str, FloatArray]]:
        start, stop = shards[0].start, shards[-1].stop
        size = self.conditions.first_images().shape[-2:]
        ours = self._maps(self.candidate, self.conditions, start, stop)
        theirs = self._maps(self.baseline, self.baseline_conditions, start, stop)
        done = start
        for shard in shards:
            found: dict[str, list[FloatArray]] = defaultdict(list)
            while done < shard.stop:
                batch = map_agreement(next(ours), next(theirs), size)
                for method, values in batch.items():
                    found[method].append(values)
                done += len(next(iter(batch.values())))
                report(done - start)
            yield {method: np.concatenate(values) for method, values in found.items()}

    def _maps(self, version: Explained, conditions: Conditions, start: int, stop: int) -> Iterator[dict[str, Tensor]]:
        """Of batch after batch, where maps are compared."""
        methods = drift_methods(conditions.protocol)
        for maps in version.model.draw(self._batches(conditions, start, stop), version.at(self.batch_size), methods):
            yield {method: m.to(conditions.device) for method, m in maps.items()}

    def _batches(self, conditions: Conditions, start: int, stop: int) -> Iterator[ToDraw]:
        indices = self.indices[start:stop]
        done = 0
        for images in conditions.source.batches(indices.tolist(), self.batch_size):
            places, source = indices[done : done + len(images)], conditions.source
            classes = torch.from_numpy(source.target[places]).unsqueeze(1)
            excluded = None if source.excluded is None else torch.from_numpy(source.excluded[places])
            yield ToDraw(images=images, classes=classes, excluded=excluded)
            done += len(images)

    def apart(self) -> Self:
        candidate, baseline = apart(self.conditions, self.candidate), apart(self.baseline_conditions, self.baseline)
        return replace(self, candidate=candidate, baseline=baseline)
