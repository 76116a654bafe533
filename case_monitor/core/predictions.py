"""Run a model over a split."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from case_monitor.core.errors import ModelError
from case_monitor.core.records import IntArray, Predictions

Progress = Callable[[str, int, int], None]
"""Called with a stage's name, the images done, and the images in all."""


def no_progress(_stage: str, _done: int, _total: int) -> None:
    """Report nothing."""


class ImageSource(Protocol):
    """The images of a split, preprocessed for the model; read in batches, never all at once."""

    sample_ids: tuple[str, ...]
    target: IntArray

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        """Batches (B, C, H, W) float32 of the images at `indices`, in that order."""
        ...

    def to_display(self, images: Tensor) -> npt.NDArray[np.uint8]:
        """(B, C, H, W) preprocessed images as a person would see them: (B, H, W, 3) uint8."""
        ...


def predict(
    logits: Callable[[Tensor], Tensor],
    source: ImageSource,
    *,
    num_classes: int,
    batch_size: int,
    device: str = "cpu",
    progress: Progress = no_progress,
    stage: str = "predict",
) -> Predictions:
    """Logits for every image of the source; NaN and infinity stay, for the verdict to see.

    Args:
        logits: the model, (B, C, H, W) -> (B, num_classes).
        source: the images.
        num_classes: of the split.
        batch_size: images per forward pass.
        device: torch device of the model.
        progress: called after every batch, with `stage`.
        stage: what to call this work.

    Raises:
        ModelError: another number of logits than classes.
    """
    total = len(source.sample_ids)
    parts = []
    seen = 0
    with torch.no_grad():
        for images in source.batches(range(total), batch_size):
            out = logits(images.to(device)).float().cpu()
            _check_shape(out, num_classes)
            parts.append(out.numpy())
            seen += len(out)
            progress(stage, seen, total)
    return Predictions(sample_ids=source.sample_ids, logits=np.concatenate(parts), target=source.target)


def _check_shape(logits: Tensor, num_classes: int) -> None:
    if logits.ndim != 2 or logits.shape[1] != num_classes:
        msg = f"number of classes: the data set has {num_classes}, the model returns {tuple(logits.shape[1:])} logits"
        raise ModelError(msg)
