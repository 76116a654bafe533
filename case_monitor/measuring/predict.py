"""Run a model over a split; channels of the target layer are counted in the same pass."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.errors import ModelError
from case_monitor.domain.predictions import PredictedPart
from case_monitor.measuring.channel_activity import ChannelActivity
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.image_source import ImageSource
from case_monitor.measuring.workers.shards import Shard
from case_monitor.measuring.workers.work import Report
from case_monitor.saliency import tap_layer


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predict:
    """Predicts images, and counts active channels in the same pass. `indices` None: every image of the split."""

    conditions: Conditions
    model: nn.Module
    layer: str
    batch_size: int
    name: str = "predict"
    indices: IntArray | None = None

    @property
    def parts(self) -> tuple[object, ...]:
        return self.model, self.conditions.source

    def run(self, shards: Sequence[Shard], report: Report) -> Iterator[PredictedPart]:
        conditions = self.conditions
        with conditions.prepared(self.model):
            tap = tap_layer(self.model, self.layer, output_key=conditions.protocol.output_key)
            activity = ChannelActivity(conditions.protocol.activity_threshold)

            def logits(images: Tensor) -> Tensor:
                def look(output: Tensor) -> Tensor:
                    activity(tap.layout(output, images).to_grid(output))
                    return output

                return tap(images, look)

            start, stop = shards[0].start, shards[-1].stop
            indices = range(start, stop) if self.indices is None else self.indices[start:stop].tolist()
            batches = logits_of_batches(
                logits, conditions.source, indices, conditions.num_classes, self.batch_size, conditions.device
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
        return replace(self, model=self.conditions.copied(self.model))


def logits_of_batches(
    logits: Callable[[Tensor], Tensor],
    source: ImageSource,
    indices: Sequence[int],
    num_classes: int,
    batch_size: int,
    device: str,
) -> Iterator[npt.NDArray[np.float32]]:
    """(B, num_classes) for batch after batch of the images at `indices`.

    Raises:
        ModelError: another number of logits than classes.
    """
    for images in source.batches(indices, batch_size):
        with torch.no_grad():  # not around the loop: the caller's code runs in between
            out = logits(images.to(device)).float().cpu()
        _check_shape(out, num_classes)
        yield out.numpy()


def _check_shape(logits: Tensor, num_classes: int) -> None:
    if logits.ndim != 2 or logits.shape[1] != num_classes:
        msg = f"number of classes: the data set has {num_classes}, the model returns {tuple(logits.shape[1:])} logits"
        raise ModelError(msg)
