"""HiResCAM: the gradient is not pooled."""

import torch
from torch import Tensor

from case_monitor.saliency.trace import Trace


def hirescam(trace: Trace) -> Tensor:
    """HiResCAM (Draelos and Carin 2020): relu(sum_k gamma_k A_k), without pooling the gradient."""
    return torch.einsum("btkhw,bkhw->bthw", trace.target_gradients, trace.activations).relu()
