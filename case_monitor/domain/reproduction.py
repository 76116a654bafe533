"""How far a stored evaluation's figures differ when they are measured again. Light to import: alerts are about it."""

from dataclasses import dataclass

CONFIDENCE_TOLERANCE = 1e-3
"""Greatest difference of any image's confidence in its class. Other kernels and batches move it by 1e-6."""
SCORE_TOLERANCE = 0.01
"""Greatest mean difference of any score, without the image that differs most.

Scores look at the highest pixels, so rounding errors that exchange one pixel at the cut may change an image's score by
anything; but they do so to few images, where another model changes most.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reproduction:
    """How far figures differ from the stored ones.

    Attributes:
        n: images looked at again.
        changed_predictions: of them, that are no longer predicted as the class that they were, and are.
        confidence_difference: the greatest, of the others.
        score_difference: of each method's scores, the greatest mean over the others, of which each score leaves out
            the one that differs most; a score that is defined only once differs by 1, and one in logits counts as a
            part of its root mean square. NaN if there are no others.
        worst: the method and score that this is of, in words.
    """

    n: int
    changed_predictions: int
    confidence_difference: float
    score_difference: float
    worst: str

    @property
    def reproduced(self) -> bool:
        """Whether all is as before, but for rounding errors; NaN is not."""
        return (
            self.n > 0
            and self.changed_predictions == 0
            and self.confidence_difference <= CONFIDENCE_TOLERANCE
            and self.score_difference <= SCORE_TOLERANCE
        )
