"""Run a model over a split."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from torch import Tensor

from case_monitor.core.errors import ModelError
from case_monitor.core.records import IntArray, PredictedClasses, Predictions

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
    for out in logits_of_batches(logits, source, range(total), num_classes, batch_size, device):
        parts.append(out)
        seen += len(out)
        progress(stage, seen, total)
    return Predictions(sample_ids=source.sample_ids, logits=np.concatenate(parts), target=source.target)


def logits_of_batches(
    logits: Callable[[Tensor], Tensor],
    source: ImageSource,
    indices: Sequence[int],
    num_classes: int,
    batch_size: int,
    device: str,
) -> Iterator[npt.NDArray[np.float32]]:
    """(B, num_classes) for batch after batch of the images at `indices`.

    Raises:
        ModelError: another number of logits than classes.
    """
    for images in source.batches(indices, batch_size):
        with torch.no_grad():  # not around the loop: the caller's code runs in between
            out = logits(images.to(device)).float().cpu()
        _check_shape(out, num_classes)
        yield out.numpy()


def predicted_classes(preds: Predictions) -> PredictedClasses:
    """What of the logits is kept for every image of a split."""
    with np.errstate(invalid="ignore"):  # infinite logits have no probabilities: NaN
        confidence = softmax(preds.logits.astype(np.float64), axis=1).max(axis=1)
    return PredictedClasses(
        sample_ids=preds.sample_ids, target=preds.target, preds=preds.preds, confidence=np.asarray(confidence)
    )


def _check_shape(logits: Tensor, num_classes: int) -> None:
    if logits.ndim != 2 or logits.shape[1] != num_classes:
        msg = f"number of classes: the data set has {num_classes}, the model returns {tuple(logits.shape[1:])} logits"
        raise ModelError(msg)
