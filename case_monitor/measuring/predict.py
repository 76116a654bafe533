"""Run a model over a split; channels of the target layer are counted in the same pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.errors import ModelError
from case_monitor.domain.predictions import PredictedPart
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.measured_model import Answers, MeasuredModel
from case_monitor.measuring.workers.shards import Shard
from case_monitor.measuring.workers.work import Report


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predict:
    """Predicts images, and counts active channels in the same pass. `indices` None: every image of the split."""

    conditions: Conditions
    model: MeasuredModel
    layer: str
    batch_size: int
    name: str = "predict"
    indices: IntArray | None = None

    @property
    def parts(self) -> tuple[object, ...]:
        return self.model, self.conditions.source

    def run(self, shards: Sequence[Shard], report: Report) -> Iterator[PredictedPart]:
        start, stop = shards[0].start, shards[-1].stop
        indices = range(start, stop) if self.indices is None else self.indices[start:stop].tolist()
        batches = self.conditions.source.batches(indices, self.batch_size)
        answers = self.model.predict(self.conditions.first_images(), batches, self.layer)
        seen = 0
        for shard in shards:
            parts: list[Answers] = []
            while sum(len(part.logits) for part in parts) < len(shard):
                parts.append(next(answers))
                require_logits(parts[-1].logits, self.conditions.num_classes)
                seen += len(parts[-1].logits)
                report(seen)
            yield PredictedPart(
                logits=np.concatenate([part.logits for part in parts]),
                active_channels=np.concatenate([part.active_channels for part in parts]),
            )

    def apart(self) -> Self:
        return replace(self, model=self.model.apart(self.conditions.first_images()))


def require_logits(logits: npt.NDArray[np.float32], num_classes: int) -> None:
    """See that they are (B, num_classes).

    Raises:
        ModelError: they are not.
    """
    if logits.ndim != 2 or logits.shape[1] != num_classes:
        msg = f"number of classes: the data set has {num_classes}, the model returns {logits.shape[1:]} logits"
        raise ModelError(msg)
