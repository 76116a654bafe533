"""Why no gradient of the logits comes to a layer."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.checkpoint
from torch import Tensor

from case_monitor.saliency.taps import Tap


def why_none(tap: Tap, images: Tensor) -> str:
    """Why no gradient comes from the logits to the layer of a tap, found by changing what it gives.

    Args:
        tap: the model, tapped at the layer.
        images: (B, C, H, W).
    """

    def twisted(output: Tensor) -> Tensor:
        return output.flip(-1) * 3 + 1

    with torch.no_grad():
        with _checkpoints() as reentrant:
            plain = tap(images.clone(), lambda output: output)
        changed = not torch.equal(plain, tap(images.clone(), twisted))
    if reentrant:
        return "gradient checkpointing of the reentrant kind is around it: say use_reentrant=False, or switch it off"
    if plain.is_inference():
        return "the model runs under torch.inference_mode(), which keeps no gradients: take it out of forward()"
    if changed:
        return "they change with it, but their gradients are cut off in between, as by detach(), .data or NumPy"
    return "they do not depend on it: it is a branch that is not used"


@contextmanager
def _checkpoints() -> Iterator[list[None]]:
    """Counts reentrant checkpoints that are passed."""
    passed: list[None] = []
    function: Any = torch.utils.checkpoint.CheckpointFunction  # which has no types
    plain = function.forward

    def forward(*args: object) -> object:
        passed.append(None)
        return plain(*args)

    function.forward = staticmethod(forward)  # for one pass
    try:
        yield passed
    finally:
        function.forward = staticmethod(plain)
