"""The images of a split, as the measuring side reads them."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from case_monitor.domain.arrays import BoolArray, IntArray


class ImageSource(Protocol):
    """The images of a split, preprocessed for the model; read in batches, never all at once.

    Attributes:
        sample_ids: (N,) their names.
        target: (N,) their classes.
        excluded: (N, num_classes) classes that each is of, too; None: each is of one.
    """

    sample_ids: tuple[str, ...]
    target: IntArray
    excluded: BoolArray | None

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        """Batches (B, C, H, W) float32 of the images at `indices`, in that order."""
        ...

    def objects(self, indices: Sequence[int]) -> Tensor | None:
        """(B, H, W) bool, where the object is in the images at `indices`; None where nothing is marked in any."""
        ...

    def to_display(self, images: Tensor) -> npt.NDArray[np.uint8]:
        """(B, C, H, W) preprocessed images as a person would see them: (B, H, W, 3) uint8."""
        ...
