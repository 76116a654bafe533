"""CASE, and its three other readings.

Symbols as in the method: A (B, K, h, w) activations, g_u (B, T, K) spatial mean of the gradient of the logit of class
u, and maps (B, T, h, w). Activations and gradients come from `Trace`; nothing here runs the model.
"""

import torch
from torch import Tensor

from case_monitor.saliency.methods.weighting import pooled, weighted_sum
from case_monitor.saliency.trace import Trace

_EPS = 1e-8


# Below this share of |g_u|, a residual in float32 is rounding noise: u and its contrast are then collinear.
_NOISE = 1e-6


def case(trace: Trace) -> Tensor:
    """CASE (Williamson et al. 2025, Algorithm 1): Grad-CAM on what the contrast set does not share.

    w = g_u - ((g_u . g_bar) / (|g_bar|^2 + eps)) g_bar, with g_bar the gradient of the mean logit over V(u) and eps
    = 1e-8 |g_u|^2; map = relu(sum_k w_k A_k). With V(u) empty this is Grad-CAM. Where g_u is a multiple of g_bar
    nothing is specific to u: w is exactly 0, not rounding noise, and the map is degenerate.
    """
    w = _reject(pooled(trace.target_gradients), pooled(trace.contrast_gradients))
    return weighted_sum(w, trace.activations)


def case_soft(trace: Trace) -> Tensor:
    """CASE with g_bar weighted by M + P over V(u) instead of a plain mean (method, option `soft`)."""
    w = _reject(pooled(trace.target_gradients), pooled(trace.soft_contrast_gradients))
    return weighted_sum(w, trace.activations)


def case_full(trace: Trace) -> Tensor:
    """CASE with the full gradient tensors projected before pooling, another reading of the paper's Fig. 2.

    Agrees with `case` where gradients are spatially constant, as with a pooled linear head.
    """
    gamma, contrast = trace.target_gradients, trace.contrast_gradients
    residual = _reject(gamma.flatten(2), contrast.flatten(2)).view_as(gamma)
    return weighted_sum(pooled(residual), trace.activations)


def case_subspace(trace: Trace) -> Tensor:
    """CASE with the whole span of {g_v : v in V(u)} projected out (method, option `subspace`).

    The orthonormal basis comes from an SVD, not from the method's QR: the span is the same, and where members are
    linearly dependent QR without pivoting does not tell which of its columns span it.
    """
    g = pooled(trace.target_gradients)  # (B, T, K)
    span = trace.pooled_member_gradients()  # (B, T, k, K)
    # Left singular vectors (B, T, K, r) and values (B, T, r), with r = min(k, K).
    directions, size, _ = torch.linalg.svd(span.double().transpose(-2, -1), full_matrices=False)
    # A direction that the members do not span (they are dependent, or places are empty) must not be projected out.
    q = directions * (size > _NOISE * size.amax(-1, keepdim=True)).unsqueeze(-2)
    g64 = g.double()
    w = g64 - (q @ (q.transpose(-2, -1) @ g64.unsqueeze(-1))).squeeze(-1)
    noise = w.norm(dim=-1, keepdim=True) <= _NOISE * g64.norm(dim=-1, keepdim=True)
    return weighted_sum(torch.where(noise, torch.zeros_like(w), w).to(g.dtype), trace.activations)


def _reject(g: Tensor, g_bar: Tensor) -> Tensor:
    """The part of g (B, T, D) orthogonal to g_bar (B, T, D), in float64 inside."""
    tiny = torch.finfo(torch.float64).tiny
    g64, bar = g.double(), g_bar.double()
    shared = (g64 * bar).sum(-1, keepdim=True)
    norm, size = (bar * bar).sum(-1, keepdim=True), (g64 * g64).sum(-1, keepdim=True)
    eps = _EPS * size
    w = g64 - shared / (norm + eps).clamp(min=tiny) * bar
    # Whether g is a multiple of g_bar is asked without eps, which leaves more than noise where g_bar is short. The
    # shorter g_bar, the less float32 knows of its direction; shorter than eps, it counts as 0.
    exact = g64 - shared / norm.clamp(min=tiny) * bar
    noise = _NOISE * size.sqrt() * (size / norm.clamp(min=tiny)).sqrt().clamp(min=1)
    collinear = (exact.norm(dim=-1, keepdim=True) <= noise) & (norm > eps)
    return torch.where(collinear, torch.zeros_like(w), w).to(g.dtype)
