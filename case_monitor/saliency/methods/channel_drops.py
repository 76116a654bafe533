"""By how much logits fall when a channel is set to 0."""

from dataclasses import dataclass
from typing import Self

from torch import Tensor

from case_monitor.saliency.trace import Trace


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChannelDrops:
    """The falls of the targets' logits (B, T, K), and of the mean of all logits (B, 1, K)."""

    of_targets: Tensor
    of_mean: Tensor

    @classmethod
    def none(cls, trace: Trace) -> Self:
        """Before any channel was set to 0."""
        (batch, targets), channels = trace.targets.shape, trace.activations.shape[1]
        new = trace.logits.new_zeros
        return cls(of_targets=new(batch, targets, channels), of_mean=new(batch, 1, channels))

    def put(self, trace: Trace, image: int, channels: Tensor, logits: Tensor) -> None:
        """What the logits (n, num_classes) of an image without each of n channels say."""
        before, classes = trace.logits[image], trace.targets[image]
        self.of_targets[image, :, channels] = before[classes].unsqueeze(-1) - logits[:, classes].T
        self.of_mean[image, 0, channels] = before.mean() - logits.mean(1)
