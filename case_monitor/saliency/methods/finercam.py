"""Finer-CAM: what speaks for a class more than for those that it is confused with."""

from torch import Tensor

from case_monitor.saliency.methods.weighting import pooled, weighted_sum
from case_monitor.saliency.trace import Trace


def finercam(trace: Trace) -> Tensor:
    """Finer-CAM (Zhang et al. 2025): relu(sum_k w_k A_k), w = g_u - g_bar, g_bar the gradient of the mean over V(u).

    The paper's strength of comparison is 1 here, so that what is added to all logits changes nothing. It compares with
    the classes of the next highest logits, as this does where there is no V(u); with an empty V(u) this is Grad-CAM.
    CASE takes g_bar out of g_u as far as the two point the same way, Finer-CAM all of it. Of one class in V(u), it is
    pytorch-grad-cam's `FinerCAM`; of several, that weighs them by their softmax, and differentiates the weights, too.
    """
    return weighted_sum(pooled(trace.target_gradients) - pooled(trace.contrast_gradients), trace.activations)
