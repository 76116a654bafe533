"""Explanation drift: do two versions of a model point at the same pixels of an image, for the same class?"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.methods import drift_methods
from case_monitor.domain.protocol import Protocol
from case_monitor.measuring.class_sensitivity import agreement
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.explained import Explained, apart
from case_monitor.measuring.workers.shards import Shard
from case_monitor.measuring.workers.work import Report
from case_monitor.saliency import resize_maps, saliency_maps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shown:
    """Images as a version wants them, and the class to explain in its own order of classes."""

    images: Tensor
    classes: Tensor


def map_agreement(
    candidate: Explained, baseline: Explained, ours: Shown, theirs: Shown, protocol: Protocol
) -> dict[str, FloatArray]:
    """Overlap of the top pixels of both versions' maps of a batch, at the size of the candidate's images.

    Args:
        candidate, baseline: the versions; their layers may differ in size.
        ours, theirs: (B, C, H, W) the same parts of the same images as each version wants them, which may differ in
            size too, and (B,) their class as each counts it.
        protocol: which methods.

    Returns:
        method -> (B,) agreement in [0, 1]; NaN where either map is degenerate.
    """
    methods = drift_methods(protocol)
    size = ours.images.shape[-2:]
    first, second = (_maps(v, s, size, methods, protocol) for v, s in ((candidate, ours), (baseline, theirs)))
    return {method: agreement(first[method], second[method]).cpu().numpy() for method in methods}


def _maps(
    version: Explained, shown: Shown, size: Sequence[int], methods: Sequence[str], protocol: Protocol
) -> dict[str, Tensor]:
    """Maps (B, H, W) of that size, by method."""
    maps = saliency_maps(
        version.model,
        shown.images,
        shown.classes.unsqueeze(1),
        target_layer=version.layer,
        methods=methods,
        contrast_sets=version.contrast,
        contrast_k=protocol.contrast_k,
        size="layer",
        output_key=protocol.output_key,
        batch_size=len(shown.images),
    )
    return {method: resize_maps(m, size)[:, 0] for method, m in maps.items()}


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
        batches = self._batches(self.conditions, start, stop)
        same = self.baseline_conditions.source is self.conditions.source  # read once, where both want them alike
        others = None if same else self._batches(self.baseline_conditions, start, stop)
        for version in (self.candidate, self.baseline):
            version.model.to(self.conditions.device)
        done = start
        for shard in shards:
            found: dict[str, list[FloatArray]] = defaultdict(list)
            while done < shard.stop:
                ours = next(batches)
                theirs = ours if others is None else next(others)
                batch = map_agreement(self.candidate, self.baseline, ours, theirs, self.conditions.protocol)
                for method, values in batch.items():
                    found[method].append(values)
                done += len(ours.images)
                report(done - start)
            yield {method: np.concatenate(values) for method, values in found.items()}

    def _batches(self, conditions: Conditions, start: int, stop: int) -> Iterator[Shown]:
        indices = self.indices[start:stop]
        done = 0
        for images in conditions.source.batches(indices.tolist(), self.batch_size):
            classes = conditions.source.target[indices[done : done + len(images)]]
            yield Shown(images=images.to(conditions.device), classes=torch.from_numpy(classes).to(conditions.device))
            done += len(images)

    def apart(self) -> Self:
        candidate, baseline = apart(self.conditions, self.candidate), apart(self.baseline_conditions, self.baseline)
        return replace(self, candidate=candidate, baseline=baseline)
