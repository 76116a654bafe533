"""What all work on a version must agree on: found once, where the work will be done."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

from torch import nn

from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.workers.shards import Shard
from case_monitor.measuring.workers.work import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Surveyed:
    """What every other work on a model must agree on."""

    layer: str
    batch_size: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Survey:
    """Finds the target layer, and how many images to take at once, where the work will be done."""

    conditions: Conditions
    model: nn.Module
    target_layer: str
    name: str = "look at the model"

    @property
    def parts(self) -> tuple[object, ...]:
        return self.model, self.conditions.source

    def run(self, shards: Sequence[Shard], _report: Report) -> Iterator[Surveyed]:
        for _ in shards:
            layer = self.conditions.find_layer(self.model) if self.target_layer == "auto" else self.target_layer
            with self.conditions.prepared(self.model):
                batch_size = self.conditions.batch_size(self.model)
            yield Surveyed(layer=layer, batch_size=batch_size)

    def apart(self) -> Self:
        return replace(self, model=self.conditions.copied(self.model))
