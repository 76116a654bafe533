"""Score-CAM: channels weighted by the logits of the image masked with them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from case_monitor.saliency.forward import Logits, fastest_forward
from case_monitor.saliency.memory import batch_size_for
from case_monitor.saliency.methods.weighting import weighted_sum
from case_monitor.saliency.trace import Trace


def scorecam(trace: Trace) -> Tensor:
    """Score-CAM (Wang et al. 2020): w = softmax over channels of the target's logit on the masked image.

    Each channel is upsampled to (H, W) with aligned corners, scaled to [0, 1], and multiplied with the image; map =
    relu(sum_k w_k A_k). As in pytorch-grad-cam there is no baseline image, which a softmax cancels anyway. One
    masked forward serves every target class. Channels without contrast mask everything: they are scored once.

    Every channel is scored at full resolution: scoring only some, or smaller images, changes the ranking.
    """
    return scorecam_and_centred(trace)[0]


def scorecam_and_centred(trace: Trace) -> tuple[Tensor, Tensor]:
    """Score-CAM, and the same of centred logits (s_c - mean s), from the same passes."""
    tap, images, activations = trace.tap, trace.images, trace.activations
    rows = trace.options.rows or batch_size_for(tap.model, images)
    expected = trace.logits.float()
    with (
        torch.no_grad(),
        fastest_forward(tap.model, tap.logits, images, expected, rows=rows, speed=trace.options.speed) as logits,
    ):
        blank = logits(torch.zeros_like(images[:1]))[0]  # (num_classes,)
        scores, means = [], []
        for i, image in enumerate(images):
            masked = _masked_logits(logits, image, activations[i], blank, rows, trace)
            scores.append(masked[:, trace.targets[i]].T)
            means.append(masked.mean(1))
    of_targets, of_all = torch.stack(scores), torch.stack(means).unsqueeze(1)  # (B, T, K), (B, 1, K)
    plain, centred = (
        weighted_sum(of.softmax(-1).to(activations.dtype), activations) for of in (of_targets, of_targets - of_all)
    )
    return plain, centred


def _masked_logits(
    logits: Logits, image: Tensor, activations: Tensor, blank: Tensor, rows: int, trace: Trace
) -> Tensor:
    """(K, num_classes) logits of an image (C, H, W) masked with each of its channels (K, h, w)."""
    found = blank.repeat(len(activations), 1)
    flat = activations.flatten(1)
    live = (flat.amax(1) > flat.amin(1)).nonzero().flatten()
    for channels in torch.split(live, rows) if len(live) else ():
        masks = F.interpolate(activations[channels, None], image.shape[-2:], mode="bilinear", align_corners=True)
        low, high = masks.amin((-2, -1), keepdim=True), masks.amax((-2, -1), keepdim=True)
        masks = (masks - low) / (high - low + 1e-8)  # (n, 1, H, W)
        found[channels] = logits((image * masks).to(image.dtype))
        trace.options.progress(len(channels) / len(live))
    return found
