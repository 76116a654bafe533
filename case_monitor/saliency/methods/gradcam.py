"""Grad-CAM and Grad-CAM++: channels weighted by their pooled gradients."""

import torch
from torch import Tensor

from case_monitor.saliency.methods.weighting import pooled, weighted_sum
from case_monitor.saliency.trace import Trace


def gradcam(trace: Trace) -> Tensor:
    """Grad-CAM (Selvaraju et al. 2017): relu(sum_k g_u[k] A_k). Equals pytorch-grad-cam's `GradCAM`."""
    return weighted_sum(pooled(trace.target_gradients), trace.activations)


def gradcam_of_log_probability(trace: Trace) -> Tensor:
    """Grad-CAM of log p_u, p the softmax: w = g_u - sum_c p_c g_c. What is added to all logits changes nothing.

    All other classes are contrasted with u, by how likely they are; it vanishes as p_u comes near 1.
    """
    return weighted_sum(pooled(trace.log_probability_gradients), trace.activations)


def gradcam_plus_plus(trace: Trace) -> Tensor:
    """Grad-CAM++ (Chattopadhyay et al. 2018), with the raw logit as score, as in pytorch-grad-cam.

    alpha = gamma^2 / (2 gamma^2 + sum_ij(A) gamma^3 + 1e-6), 0 where gamma = 0;
    w_k = sum_ij alpha relu(gamma); map = relu(sum_k w_k A_k). The paper takes exp(logit) as the score.
    """
    gamma = trace.target_gradients
    total = trace.activations.sum((-2, -1), keepdim=True).unsqueeze(1)  # (B, 1, K, 1, 1)
    alpha = gamma**2 / (2 * gamma**2 + total * gamma**3 + 1e-6)
    alpha = torch.where(gamma != 0, alpha, torch.zeros_like(alpha))
    return weighted_sum((alpha * gamma.relu()).sum((-2, -1)), trace.activations)
