"""What all work on a version must agree on: found once, where the work will be done."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.measured_model import MeasuredModel, Surveyed
from case_monitor.measuring.workers.shards import Shard
from case_monitor.measuring.workers.work import Report


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """Finds the target layer, and how many images to take at once, where the work will be done."""

    conditions: Conditions
    model: MeasuredModel
    target_layer: str
    known: bool = False
    name: str = "look at the model"

    @property
    def parts(self) -> tuple[object, ...]:
        return self.model, self.conditions.source

    def run(self, shards: Sequence[Shard], _report: Report) -> Iterator[Surveyed]:
        for _ in shards:
            yield self.model.survey(self.conditions.first_images(), self.target_layer, self.known)

    def apart(self) -> Self:
        return replace(self, model=self.model.apart(self.conditions.first_images()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ListLayers:
    """Finds layers that could be explained, where the work will be done."""

    conditions: Conditions
    model: MeasuredModel
    name: str = "look at the layers"

    @property
    def parts(self) -> tuple[object, ...]:
        return self.model, self.conditions.source

    def run(self, shards: Sequence[Shard], _report: Report) -> Iterator[tuple[str, ...]]:
        for _ in shards:
            yield self.model.layers(self.conditions.first_images())

    def apart(self) -> Self:
        return replace(self, model=self.model.apart(self.conditions.first_images()))
