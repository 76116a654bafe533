"""Channel activity (paper, eq. 10): how many channels of the target layer a class switches on."""

import numpy as np
import torch
from torch import Tensor

from case_monitor.domain.arrays import IntArray


class ChannelActivity:
    """Counts active channels as it is passed the target layer's output, batch by batch; changes nothing.

    A channel is active when the spatial mean of its activation exceeds `threshold` (the paper's tau).

    Example:
        >>> activity = ChannelActivity(0.001)
        >>> _ = activity(torch.tensor([[[[0.0, 0.1]], [[0.0, 0.0]], [[1.0, -1.0]]]]))
        >>> activity.counts.tolist()
        [1]
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._counts: list[Tensor] = []

    def __call__(self, output: Tensor) -> Tensor:
        """(B, K, h, w) in, the same out."""
        self._counts.append((output.float().mean((-2, -1)) > self._threshold).sum(1).cpu())
        return output

    @property
    def counts(self) -> IntArray:
        """(N,) active channels of every image seen so far."""
        return torch.cat(self._counts).numpy().astype(np.int64)

    def taken(self) -> IntArray:
        """As `counts`, which are then forgotten."""
        counts = self.counts
        self._counts = []
        return counts
