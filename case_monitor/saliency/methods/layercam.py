"""LayerCAM: gradients position by position."""

import torch
from torch import Tensor

from case_monitor.saliency.trace import Trace


def layercam(trace: Trace) -> Tensor:
    """LayerCAM (Jiang et al. 2021): relu(sum_k relu(gamma_k) A_k), position by position."""
    return torch.einsum("btkhw,bkhw->bthw", trace.target_gradients.relu(), trace.activations).relu()
