"""Occlusion: how far a class's logit falls when a window of the image is hidden."""

import torch
from torch import Tensor

from case_monitor.saliency.forward import Logits, fastest_forward
from case_monitor.saliency.memory import batch_size_for
from case_monitor.saliency.trace import Trace

WINDOWS, _MOST_WINDOWS = 8, 64
"""Along the image's shorter side, and at most along its longer one."""
_ROUNDING = 1e-5  # of the largest logit: what windows that change nothing seem to change, in passes of other sizes


def occlusion(trace: Trace) -> Tensor:
    """Occlusion (Zeiler and Fergus 2014): map = relu(s_u - s_u with the window hidden), one value a window.

    The windows do not overlap and cover the image, 8 along its shorter side, at most 64 along the other. A hidden
    window gets the darkest value of each channel of its image, or the mean where that is farther from 0: fidelity and
    contrast put 0, or a blurred image, in the place of pixels, and must not ask again what the map was made from. No
    layer has a part in it, and no gradient: it can explain any model, at a forward pass for every window. The map is
    as large as the image, (B, T, H, W), and constant in each window: enlarging a smaller one would smear windows.

    In captum's `Occlusion` the baseline is the caller's, and maps have a sign; with the same baseline they are equal
    where ours are positive.
    """
    return occlusion_and_evidence(trace)[0]


def occlusion_and_evidence(trace: Trace) -> tuple[Tensor, ...]:
    """Occlusion; the same of centred logits (s_c - mean s); and, where there are two targets, their pair.

    That is of the first against the second, of any sign. All are from the same passes.
    """
    tap, images = trace.tap, trace.images
    rows = trace.options.rows or batch_size_for(tap.model, images)
    expected = trace.logits.float()
    windows = _windows(images)
    with (
        torch.no_grad(),
        fastest_forward(tap.model, tap.logits, images, expected, rows=rows, speed=trace.options.speed) as logits,
    ):
        hidden = torch.stack([_hidden(logits, image, windows, rows, trace) for image in images])
    falls = expected.unsqueeze(1) - hidden  # (B, n, num_classes)
    of_targets = falls.gather(2, trace.targets.unsqueeze(1).expand(-1, falls.shape[1], -1)).transpose(1, 2)
    of_mean = falls.mean(2).unsqueeze(1)
    found = [of_targets.relu(), (of_targets - of_mean).relu()]
    if of_targets.shape[1] > 1:
        found.append(of_targets[:, :1] - of_targets[:, 1:2])
    noise = _ROUNDING * expected.abs().amax(1).view(-1, 1, 1)
    kept = (torch.where(of.abs() > noise, of, 0).to(trace.activations.dtype) for of in found)
    return tuple(of[:, :, windows] for of in kept)


def _windows(images: Tensor) -> Tensor:
    """(H, W) the number of the window that each pixel is in, row by row."""
    height, width = images.shape[-2:]
    shorter = min(height, width)
    along = [min(side, _MOST_WINDOWS, max(1, round(WINDOWS * side / shorter))) for side in (height, width)]
    rows, columns = (
        torch.arange(side, device=images.device) * count // side
        for side, count in zip((height, width), along, strict=True)
    )
    return rows[:, None] * along[1] + columns


def _hidden(logits: Logits, image: Tensor, windows: Tensor, rows: int, trace: Trace) -> Tensor:
    """(n, num_classes) logits of an image (C, H, W) without each window."""
    hiding, every = _hiding(image), torch.arange(int(windows.max()) + 1, device=image.device)
    found = []
    for some in torch.split(every, rows):
        found.append(logits(torch.where(windows == some.view(-1, 1, 1, 1), hiding, image)))
        trace.options.progress(len(some) / len(every))
    return torch.cat(found)


def _hiding(image: Tensor) -> Tensor:
    """(C, 1, 1) what an image (C, H, W) is hidden with."""
    darkest, mean = image.amin((-2, -1), keepdim=True), image.mean((-2, -1), keepdim=True)
    return torch.where(mean.abs() > darkest.abs(), mean, darkest)
