"""What is measured on each explained image."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from case_monitor.domain.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleScores:
    """Scores of the explained images: correctly classified ones, the same for every method.

    Attributes:
        sample_ids: (n,) stable names.
        target, top2: (n,) class indices; `target` is also the top-1 prediction.
        confidence: (n,) softmax probability of the top-1 class.
        values: (method, metric) -> (n,) float64; NaN where undefined (a degenerate map).
        broken_passes: (n,) maps and passes over the image, masked or not, in which the model gave NaN or infinity;
            None: in none of any image.
    """

    sample_ids: tuple[str, ...]
    target: IntArray
    top2: IntArray
    confidence: FloatArray
    values: Mapping[tuple[str, str], FloatArray]
    broken_passes: IntArray | None = None

    @property
    def broken(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the model gave NaN or infinity in a pass over the image."""
        if self.broken_passes is None:
            return np.zeros(len(self.sample_ids), dtype=np.bool_)
        return np.asarray(self.broken_passes > 0)

    @property
    def methods(self) -> tuple[str, ...]:
        """The saliency methods, in the order evaluated."""
        return tuple(dict.fromkeys(method for method, _ in self.values))
