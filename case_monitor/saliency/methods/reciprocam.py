"""Recipro-CAM: what the part of the model behind the layer makes of one position of the grid alone."""

import torch
from torch import Tensor

from case_monitor.saliency.heads import verified_head
from case_monitor.saliency.memory import footprint, rows_that_fit
from case_monitor.saliency.taps import HeadRun
from case_monitor.saliency.trace import Trace


def reciprocam(trace: Trace) -> Tensor:
    """Recipro-CAM (Byun and Lee 2022): the softmax probability of u when all positions but one are 0.

    No gradient: the part behind the layer runs once for each position. As in the paper, a map less its smallest value;
    without the paper's optional Gaussian around the position. What is no position stays as it is: the class token.
    """
    return reciprocam_and_centred(trace)[0]


@torch.no_grad()
def reciprocam_and_centred(trace: Trace) -> tuple[Tensor, Tensor]:
    """Recipro-CAM, twice: what is added to all logits changes no probability."""
    head = verified_head(trace)
    places, (height, width) = _places(trace), trace.activations.shape[-2:]
    rows = rows_that_fit(footprint(lambda: head(trace.output[:1].clone(), 0)), trace.output.device)
    found = torch.stack([_alone(trace, head, i, places, rows) for i in range(len(trace.images))])  # (B, T, h * w)
    above = found - found.amin(-1, keepdim=True)
    maps = torch.unflatten(above, -1, (height, width)).to(trace.activations.dtype)
    return maps, maps


@torch.enable_grad()
def _places(trace: Trace) -> Tensor:
    """(...) for each value of the layer's output for an image, which position of the grid it is at, from 1; else 0."""
    blank = torch.zeros_like(trace.output[:1], dtype=torch.float32, requires_grad=True)
    grid = trace.layout.to_grid(blank)  # (1, K, h, w)
    numbers = torch.arange(1, grid[0, 0].numel() + 1, device=grid.device, dtype=grid.dtype).view_as(grid[0, 0])
    (places,) = torch.autograd.grad((grid * numbers).sum(), blank)
    return places[0].round().long()


def _alone(trace: Trace, head: HeadRun, image: int, places: Tensor, rows: int) -> Tensor:
    """(T, h * w) what each position alone gives each target's probability in an image."""
    whole, every = trace.output[image], torch.arange(1, int(places.max()) + 1, device=places.device)
    found = []
    for some in torch.split(every, rows):
        kept = (places == 0) | (places == some.view(-1, *[1] * places.ndim))  # (n, ...)
        logits = head(torch.where(kept, whole, torch.zeros_like(whole)), image)
        found.append(logits.double().softmax(1)[:, trace.targets[image]])
        trace.options.progress(len(some) / len(every))
    return torch.cat(found).T
