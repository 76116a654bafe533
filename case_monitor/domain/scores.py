"""What is measured on each explained image."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from case_monitor.domain.arrays import FloatArray, IntArray

FIDELITY_MARGIN = "fidelity_margin"
"""m(x without random pixels) - m(x without as many of what people are shown), of the top 5%, in margins m of logits."""
PAIR_MARGIN, SHOWN_MARGIN = "pair_margin", "shown_margin"
"""m(x without what speaks for the second class) - m(x without what speaks for the first): by the map of one class
against the other, and by the two maps of the method that people are shown."""
MARGINS = {FIDELITY_MARGIN, PAIR_MARGIN, SHOWN_MARGIN}
"""Scores in logits, whose scale is the model's own and no range bounds; all others are shares or probabilities."""
ONE_SIDED = {PAIR_MARGIN: "pair_one_sided", SHOWN_MARGIN: "shown_one_sided"}
"""1 where pixels speak for the first class and none for the second, else 0."""
POSITION, CLASS_POSITION = "position", "class_position"
"""Likeness of where the model looks to all other images of the sample, and to those of its class."""
OF_THE_SAMPLE = {POSITION, CLASS_POSITION}
"""Scores of an image that depend on which others are in the sample."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleScores:
    """Scores of the explained images: correctly classified ones, the same for every method.

    Attributes:
        sample_ids: (n,) stable names.
        target, top2: (n,) class indices; `target` is also the top-1 prediction.
        confidence: (n,) softmax probability of the top-1 class.
        values: (method, metric) -> (n,) float64; NaN where undefined (a degenerate map). The method is "" of what is
            measured of the model itself, and `random` of the control.
        broken_passes: (n,) maps and passes over the image, masked or not, in which the model gave NaN or infinity;
            None: in none of any image.
        places: class -> (p,) the tenth of the pixels that its maps point at most often, as places in an image that is
            read row by row; not stored.
    """

    sample_ids: tuple[str, ...]
    target: IntArray
    top2: IntArray
    confidence: FloatArray
    values: Mapping[tuple[str, str], FloatArray]
    broken_passes: IntArray | None = None
    places: Mapping[int, IntArray] = field(default_factory=dict)

    @property
    def broken(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the model gave NaN or infinity in a pass over the image."""
        if self.broken_passes is None:
            return np.zeros(len(self.sample_ids), dtype=np.bool_)
        return np.asarray(self.broken_passes > 0)

    @property
    def methods(self) -> tuple[str, ...]:
        """The saliency methods, in the order evaluated."""
        return tuple(dict.fromkeys(method for method, _ in self.values if method))

    @property
    def shown(self) -> str | None:
        """The method that people are shown, whose contrast was measured; None where none was."""
        return next((method for method, metric in self.values if metric == SHOWN_MARGIN), None)
