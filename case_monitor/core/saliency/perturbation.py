"""Methods that weight the target layer's channels by what happens to the logits when the input or A is changed."""

import torch
import torch.nn.functional as F
from torch import Tensor

from case_monitor.core.saliency.trace import Trace

_MASKED_BATCH = 64  # masked images per forward pass


@torch.no_grad()
def scorecam(trace: Trace) -> Tensor:
    """Score-CAM (Wang et al. 2020): w = softmax over channels of the target's logit on the masked image.

    Each channel is upsampled to (H, W) with aligned corners, scaled to [0, 1], and multiplied with the image; map =
    relu(sum_k w_k A_k). As in pytorch-grad-cam there is no baseline image, which a softmax cancels anyway. One
    masked forward serves every target class. Channels without contrast mask everything: they are scored once.
    """
    images, activations = trace.images, trace.activations
    blank = trace.tap(torch.zeros_like(images), _unchanged)  # (B, num_classes)
    scores = []
    for image, maps, targets, blank_logits in zip(images, activations, trace.targets, blank, strict=True):
        masks = F.interpolate(maps[:, None], size=images.shape[-2:], mode="bilinear", align_corners=True)
        low, high = masks.amin((-2, -1), keepdim=True), masks.amax((-2, -1), keepdim=True)
        masks = (masks - low) / (high - low + 1e-8)  # (K, 1, H, W)
        live = (high > low).flatten()
        logits = blank_logits.repeat(len(maps), 1)  # (K, num_classes)
        if live.any():
            logits[live] = torch.cat(
                [trace.tap(image * chunk, _unchanged) for chunk in torch.split(masks[live], _MASKED_BATCH)]
            )
        scores.append(logits[:, targets].T)
    weights = torch.stack(scores).softmax(-1)  # (B, T, K)
    return torch.einsum("btk,bkhw->bthw", weights, activations).relu()


@torch.no_grad()
def ablationcam(trace: Trace) -> Tensor:
    """Ablation-CAM (Desai and Ramaswamy 2020): w_k = (s_u - s_u with A_k set to 0) / |s_u|.

    Two differences from pytorch-grad-cam. It writes min(A) - 1e7 instead of 0 where a layer's output can be negative;
    on layers behind a ReLU the two agree. And it divides by s_u, as does the paper, which turns the map upside down
    where the logit is negative, as the second class's often is; the absolute value keeps the sign of the evidence.
    Where s_u is 0 it counts as the smallest number that the division survives: a map's scale means nothing.
    """
    activations = trace.activations
    scores = trace.score(trace.logits)  # (B, T)
    drops = scores.new_zeros(*scores.shape, activations.shape[1])  # (B, T, K)
    live = activations.flatten(2).ne(0).any(-1).any(0)
    for k in live.nonzero().flatten().tolist():  # a channel that is all zero has nothing to ablate
        ablated = activations.clone()
        ablated[:, k] = 0
        # The default binds this channel's A, not the loop's last; mypy cannot infer the type of such a lambda.
        drops[..., k] = scores - trace.score(trace.tap(trace.images, lambda _, a=ablated: a))  # type: ignore[misc]
    weights = drops / scores.abs().clamp(min=torch.finfo(scores.dtype).eps).unsqueeze(-1)
    return torch.einsum("btk,bkhw->bthw", weights, activations).relu()


def _unchanged(output: Tensor) -> Tensor:
    return output
