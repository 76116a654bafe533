"""What a model's process answered: each array is checked for kind, shape and range when it is taken."""

from collections.abc import Callable, Collection

import numpy as np
import torch
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.diagnostics import Score
from case_monitor.domain.errors import ModelError
from case_monitor.isolation.frames import Array, Frame

_LARGEST_MAP = 4096
_MOST = 1 << 40  # of anything that is counted


class Answer:
    """An answer about a batch.

    Args:
        frame: as it came.
        refuse: makes the error for what is none, from what was expected.
        size: images of the batch.
    """

    def __init__(self, frame: Frame, refuse: Callable[[str], ModelError], size: int) -> None:
        self._frame, self._refuse, self._size = frame, refuse, size

    def logits(self) -> Array:
        """(B, ...) float32, of as many dimensions as the model gives."""
        return self._array("logits", "float32")

    def counts(self, name: str) -> IntArray:
        """(B,) int64, none of them negative."""
        found = self._array(name, "int64", ())
        if ((found < 0) | (found > _MOST)).any():
            raise self._refuse(f"{name} of 0 or more")
        return found

    def map(self, name: str, classes: int, size: tuple[int, ...] | None = None) -> Tensor:
        """(B, K, h, w) float32; of this size (h, w), where it is known."""
        found = self._array(f"map {name}", "float32")
        shape = found.shape[1:]
        if len(shape) != 3 or shape[0] != classes or not 0 < min(shape) <= max(shape[1:]) <= _LARGEST_MAP:
            raise self._refuse(f"maps of {classes} classes, of sides up to {_LARGEST_MAP},")
        if size is not None and shape[1:] != size:
            raise self._refuse(f"maps of {size}, as before,")
        return torch.from_numpy(found)

    def drop(self, method: str, metric: str) -> FloatArray:
        """(B,) float64 in [-1, 1], or NaN."""
        found = self._array(f"drop {method} {metric}", "float64", ())
        if (np.abs(found) > 1).any():
            raise self._refuse(f"{metric} in [-1, 1]")
        return found

    def margin(self, method: str, metric: str) -> FloatArray:
        """(B,) float64, finite, or NaN."""
        found = self._array(f"margin {method} {metric}", "float64", ())
        if np.isinf(found).any():
            raise self._refuse(f"{metric} as finite numbers")
        return found

    def diagnosed(self, method: str, score: Score) -> FloatArray:
        """(B,) float64, finite and in its range, or NaN."""
        found = self._array(f"diagnosed {method} {score.name}", "float64", ())
        if not score.allows(found):
            raise self._refuse(score.range_in_words)
        return found

    def text(self, name: str, longest: int, only: str | None = None) -> str:
        """Printable, and not too long; where it can be but one thing, that."""
        found = self._frame.head.get(name)
        if only is not None and found != only:
            raise self._refuse(f"{name} {only}")
        if not isinstance(found, str) or len(found) > longest or not found.isprintable():
            raise self._refuse(f"{name} as a text of up to {longest} characters")
        return found

    def texts(self, name: str, most: int, longest: int) -> tuple[str, ...]:
        """Up to so many texts, each printable, and not too long."""
        found = self._frame.head.get(name)
        if not isinstance(found, list) or len(found) > most:
            raise self._refuse(f"{name} as up to {most} texts")
        if not all(isinstance(one, str) and len(one) <= longest and one.isprintable() for one in found):
            raise self._refuse(f"{name} as texts of up to {longest} characters")
        return tuple(found)

    def one_of(self, name: str, allowed: Collection[str]) -> str:
        """One of these words."""
        found = self._frame.head.get(name)
        if not isinstance(found, str) or found not in allowed:
            raise self._refuse(f"{name} as one of {', '.join(sorted(allowed))}")
        return found

    def count(self, name: str, least: int, most: int) -> int:
        """From `least` to `most`."""
        found = self._frame.head.get(name)
        if type(found) is not int or not least <= found <= most:
            raise self._refuse(f"{name} from {least} to {most}")
        return found

    def _array(self, name: str, dtype: str, shape: tuple[int, ...] | None = None) -> Array:
        """(B, ...) of that kind; `shape` is what follows the B, None: anything."""
        found = self._frame.arrays.get(name)
        if found is None or found.dtype != dtype or not found.shape or len(found) != self._size:
            raise self._refuse(f"{name} of {self._size} images as {dtype}")
        if shape is not None and found.shape[1:] != shape:
            raise self._refuse(f"{name} as {(self._size, *shape)}")
        return found
