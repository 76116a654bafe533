"""Max-sensitivity: how much a map changes where the image hardly does.

Yeh et al. 2019, arXiv 1901.09392.
"""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from case_monitor.measuring.diagnostics.subject import Subject

RADIUS = 0.02
"""Most that a value of the model's input is changed by."""
NEIGHBOURS = 10
"""Images close to each."""


def max_sensitivity(subject: Subject) -> Mapping[tuple[str, str], Tensor]:
    """Max over neighbours x' of |map(x') - map(x)| / |map(x)|, both as small as the layer."""
    rngs = [subject.random(i, 3) for i in range(len(subject.images))]
    worst = {
        method: torch.zeros(len(of), dtype=torch.float64, device=of.device) for method, of in subject.small.items()
    }
    shape = tuple(subject.images.shape[1:])
    for _ in range(NEIGHBOURS):
        noise = np.stack([rng.uniform(-RADIUS, RADIUS, shape) for rng in rngs])
        near = subject.images + torch.from_numpy(noise).to(subject.images)
        for method, maps in subject.explained(near, subject.classes[:, :1]).items():
            worst[method] = torch.maximum(worst[method], _change(maps[:, 0], subject.small[method]))
    return {(method, "max_sensitivity"): most for method, most in worst.items()}


def _change(maps: Tensor, of: Tensor) -> Tensor:
    """(B,) float64; NaN where there was no map."""
    change, size = ((x.double() ** 2).flatten(1).sum(1).sqrt() for x in (maps - of, of))
    return change / size
