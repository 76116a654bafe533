"""The fastest way to run a whole model many times that gives what running it plainly gives."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from case_monitor.saliency.fallback import warn_once

Logits = Callable[[Tensor], Tensor]
# How far logits may be from the plain ones, relative to the largest: rounding of float32 summed in another order, and
# of a 16-bit type kept from layer to layer.
_TOLERANCE = 1e-3
_TOLERANCE_AMP = 0.1


@dataclass(frozen=True, slots=True)
class Speed:
    """Ways to trade exactness or preparation for speed.

    Attributes:
        amp: run masked images under `torch.autocast` with this type, for example `torch.bfloat16`.
        compile: compile the model for them with `torch.compile`; takes a minute, and on the CPU a C++ compiler.
    """

    amp: torch.dtype | None = None
    compile: bool = False


PLAIN = Speed()


@contextmanager
def fastest_forward(
    model: nn.Module, logits: Logits, images: Tensor, expected: Tensor, *, rows: int, speed: Speed = PLAIN
) -> Iterator[Logits]:
    """Yield a function (n, C, H, W) -> (n, num_classes), n up to `rows`, without gradients.

    Each way is tried on `images` first; one that fails, or gives other logits than expected, is left for the next and
    the reason logged. The last is the plain one.

    Args:
        model: its weights are laid out anew while this lasts, and put back.
        logits: runs the model.
        images: (B, C, H, W) some images.
        expected: (B, num_classes) their logits.
        rows: most images that will be run at once.
        speed: what else to try.
    """
    ways = [False, True] if speed.compile else [False]
    with ExitStack() as stack:
        for compiled in reversed(ways):
            attempt = stack.enter_context(ExitStack())
            attempt.enter_context(_channels_last(model))
            fast = _way(logits, rows, speed.amp, compiled=compiled)
            problem = _problem(fast, images[:rows], expected[:rows], _TOLERANCE_AMP if speed.amp else _TOLERANCE)
            if not problem:
                yield fast
                return
            attempt.close()
            warn_once(f"{'compiled' if compiled else 'channels-last'} forward passes are not used: {problem}")
        yield _way(logits, rows, None, compiled=False, channels_last=False)


@contextmanager
def fast_weights(model: nn.Module, logits: Logits, images: Tensor) -> Iterator[None]:
    """Convolution weights laid out for speed while this lasts, if the logits of some images stay the same.

    For passes over many images; `fastest_forward` then finds the weights as it wants them.
    """
    with torch.no_grad():
        expected = logits(images).float()
    with ExitStack() as attempt:
        attempt.enter_context(_channels_last(model))
        problem = _problem(lambda x: _without_gradients(logits, x), images, expected, _TOLERANCE)
        if problem:
            attempt.close()
            warn_once(f"channels-last weights are not used: {problem}")
        yield


@torch.no_grad()
def _without_gradients(logits: Logits, images: Tensor) -> Tensor:
    return logits(images).float()


def _way(logits: Logits, rows: int, amp: torch.dtype | None, *, compiled: bool, channels_last: bool = True) -> Logits:
    run = torch.compile(logits, dynamic=False) if compiled else logits

    def forward(images: Tensor) -> Tensor:
        n = len(images)
        if compiled and n < rows:  # one shape, or it would be compiled again
            images = torch.cat([images, images.new_zeros(rows - n, *images.shape[1:])])
        if channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode(), _autocast(images.device.type, amp):
            return run(images)[:n].float()

    return forward


def _autocast(device_type: str, amp: torch.dtype | None) -> AbstractContextManager[object]:
    return nullcontext() if amp is None else torch.autocast(device_type, dtype=amp)


@contextmanager
def _channels_last(model: nn.Module) -> Iterator[None]:
    """Convolution weights laid out as the fast kernels want them; the parameters' own storage is put back."""
    own = [(parameter, parameter.data) for parameter in model.parameters() if parameter.ndim == 4]
    try:
        for parameter, data in own:
            parameter.data = data.contiguous(memory_format=torch.channels_last)
        yield
    finally:
        for parameter, data in own:
            parameter.data = data


def _problem(forward: Logits, images: Tensor, expected: Tensor, tolerance: float) -> str:
    try:
        came = forward(images.clone())  # a model may change its input in place
    except Exception as error:  # a compiler can fail in any way
        return str(error).partition("\n")[0] or type(error).__name__
    scale = expected.abs().max().clamp(min=1e-30)
    difference = ((came - expected).abs().max() / scale).item()
    return "" if difference <= tolerance else f"logits differ by {difference:.2g} of the largest"
