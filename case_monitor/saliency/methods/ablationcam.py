"""Ablation-CAM: channels weighted by how far a logit falls without them."""

import torch
from torch import Tensor

from case_monitor.saliency.heads import verified_head, without_channels
from case_monitor.saliency.memory import footprint, rows_that_fit
from case_monitor.saliency.methods.channel_drops import ChannelDrops
from case_monitor.saliency.methods.separable import separable_drops
from case_monitor.saliency.methods.weighting import weighted_sum
from case_monitor.saliency.taps import HeadRun
from case_monitor.saliency.trace import Trace


def ablationcam(trace: Trace) -> Tensor:
    """Ablation-CAM (Desai and Ramaswamy 2020): w_k = (s_u - s_u with A_k set to 0) / |s_u|.

    Two differences from pytorch-grad-cam. It writes min(A) - 1e7 instead of 0 where a layer's output can be negative;
    on layers behind a ReLU the two agree. And it divides by s_u, as does the paper, which turns the map upside down
    where the logit is negative, as the second class's often is; the absolute value keeps the sign of the evidence.
    Where s_u is 0 it counts as the smallest number that the division survives: a map's scale means nothing.

    Of tokens, the channel is set to 0 in all of them, the class token too, as pytorch-grad-cam does.
    """
    return ablationcam_and_centred(trace)[0]


@torch.no_grad()
def ablationcam_and_centred(trace: Trace) -> tuple[Tensor, Tensor]:
    """Ablation-CAM, and the same of centred logits (s_c - mean s), from the same passes."""
    head = verified_head(trace)
    rows = _rows(trace, head)
    drops = separable_drops(trace, head, rows)
    if drops is None:
        drops = _drops(trace, head, rows)
    scores = trace.score(trace.logits).to(drops.of_targets.dtype)
    mean = trace.logits.mean(1, keepdim=True).to(scores.dtype)
    plain, centred = (
        weighted_sum(_relative(fall, of).to(trace.activations.dtype), trace.activations)
        for fall, of in ((drops.of_targets, scores), (drops.of_targets - drops.of_mean, scores - mean))
    )
    return plain, centred


def _relative(drops: Tensor, scores: Tensor) -> Tensor:
    """(B, T, K) drops as parts of (B, T) scores."""
    return drops / scores.abs().clamp(min=torch.finfo(scores.dtype).eps).unsqueeze(-1)


def _drops(trace: Trace, head: HeadRun, rows: int) -> ChannelDrops:
    """Channel by channel."""
    drops = ChannelDrops.none(trace)
    live = trace.output.movedim(trace.layout.channel_dim, 1).flatten(2).ne(0).any(-1)  # (B, K)
    for i in range(len(trace.targets)):
        channels = live[i].nonzero().flatten()  # a channel that is all zero has nothing to ablate
        for chunk in torch.split(channels, rows) if len(channels) else ():
            logits = head(without_channels(trace, i, chunk), i)
            drops.put(trace, i, chunk, logits)
    return drops


def _rows(trace: Trace, head: HeadRun) -> int:
    needs = footprint(lambda: head(trace.output[:1].clone(), 0))
    return rows_that_fit(needs, trace.output.device)
