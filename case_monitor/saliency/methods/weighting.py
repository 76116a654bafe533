"""Pooling gradients, and adding up weighted channels."""

import torch
from torch import Tensor


def pooled(gradients: Tensor) -> Tensor:
    """(..., K, h, w) -> (..., K) spatial mean."""
    return gradients.mean((-2, -1))


def weighted_sum(weights: Tensor, activations: Tensor) -> Tensor:
    """relu(sum_k w_k A_k): (B, T, K), (B, K, h, w) -> (B, T, h, w)."""
    return torch.einsum("btk,bkhw->bthw", weights, activations).relu()
