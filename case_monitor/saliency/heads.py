"""The part of a model behind the target layer, run by itself where that is faithful, else with the whole model."""

import torch
from torch import Tensor

from case_monitor.saliency.fallback import warn_once
from case_monitor.saliency.replay import FAILURES
from case_monitor.saliency.taps import HeadRun
from case_monitor.saliency.trace import Options, Trace, record


@torch.no_grad()
def verified_head(trace: Trace) -> HeadRun:
    """A way to run the part behind the layer that gave, on samples, what the whole model gives.

    Tried in turn: a replay of what earlier modules returned; the same with copies, for models that change in place what
    a module returned; the whole model. What was tried in vain is logged, once.
    """
    problem = "the model does not let its parts be run alone"
    for copy in (False, True):
        head = trace.head if not copy else _recorded_again(trace)
        if head is None:
            break
        problem = _problem(trace, head)
        if not problem:
            return head
    warn_once(
        f"target layer {trace.tap.name!r}: the part of the model behind it cannot be run by itself ({problem}); "
        "the whole model is run for every channel instead, which is slow"
    )
    return WholeModel(trace)


class WholeModel:
    """The slow way that is always right: batches of the very size that was recorded, whatever a model makes of it."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace

    def __call__(self, rows: Tensor, image: int | None) -> Tensor:
        images, size = self._trace.images, len(self._trace.images)
        if image is not None:
            images = images[image : image + 1].repeat(size, 1, 1, 1)
        return torch.cat([self._run(images, batch) for batch in torch.split(rows, size)])

    def _run(self, images: Tensor, rows: Tensor) -> Tensor:
        padded = torch.cat([rows, rows[-1:].repeat(len(images) - len(rows), *[1] * (rows.ndim - 1))])
        return self._trace.tap(images.clone(), lambda _: padded)[: len(rows)]


def without_channels(trace: Trace, image: int, channels: Tensor) -> Tensor:
    """(n, ...) the layer's output for an image, with another set of channels at 0 in each row.

    Args:
        trace: the recorded pass.
        image: which.
        channels: (n, K) bool, or (n,) indices of one channel per row.
    """
    rows = trace.output[image : image + 1].repeat(len(channels), *[1] * (trace.output.ndim - 1))
    by_channel = rows.movedim(trace.layout.channel_dim, 1)  # a view
    if channels.dtype == torch.bool:
        by_channel[channels] = 0
    else:
        by_channel[torch.arange(len(rows), device=rows.device), channels] = 0
    return rows


def random_channels(trace: Trace) -> Tensor:
    """(K,) bool, half of the channels."""
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(trace.activations.shape[1], generator=generator) < 0.5).to(trace.output.device)


def agree(came: Tensor, expected: Tensor) -> bool:
    """Whether two ways to compute logits differ by no more than rounding in their precision."""
    tolerance = {torch.float64: 1e-10, torch.float32: 1e-4}.get(expected.dtype, 3e-2)
    scale = expected.abs().max().clamp(min=torch.finfo(expected.dtype).tiny)
    same = came.shape == expected.shape and bool(((came - expected).abs() <= tolerance * scale).all())
    return same or bool((came.isnan() & expected.isnan()).any())  # a broken model is not the replay's fault


def _recorded_again(trace: Trace) -> HeadRun | None:
    options = Options(with_head=True, copy=True)
    return record(trace.tap, trace.images, trace.targets, lambda _: trace.contrast, options).head


def _problem(trace: Trace, head: HeadRun) -> str:
    """Why a head must not be trusted; empty where it may."""
    image = len(trace.images) - 1
    altered = without_channels(trace, image, random_channels(trace)[None])
    # One row more than was recorded: a model that knows the size of its batch by heart is found out.
    rows = torch.cat([trace.output[image:].repeat(len(trace.images), *[1] * (altered.ndim - 1)), altered])
    try:
        whole = trace.tap(trace.images[image:], lambda _: altered.clone())
        unaltered_logits = head(trace.output.clone(), None)
        logits = head(rows, image)
    except FAILURES as error:
        return str(error).partition("\n")[0]
    if not agree(unaltered_logits, trace.logits):
        return "with the layer unaltered it gives other logits"
    if not agree(logits, torch.cat([trace.logits[image:].expand(len(rows) - 1, -1), whole])):
        return "with channels at 0 it gives other logits than the whole model"
    return ""
