"""What a model says about images."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from case_monitor.domain.arrays import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Logits of a model on some images: a shard of a split, or a sample of it.

    Attributes:
        sample_ids: (N,) stable names of the images.
        logits: (N, C) float32, before softmax.
        target: (N,) true class indices.
        excluded: (N, C) classes that an image is not told from: it is of these, too. None: each is of one class.
    """

    sample_ids: tuple[str, ...]
    logits: npt.NDArray[np.float32]
    target: IntArray
    excluded: BoolArray | None = None

    @property
    def defined(self) -> BoolArray:
        """(N,) whether all logits of an image are finite; the others have no prediction."""
        return np.asarray(np.isfinite(self.logits).all(axis=1))

    @property
    def asked(self) -> npt.NDArray[np.float32]:
        """(N, C) the logits, and minus infinity for classes that are excluded: what predictions are made of."""
        return self.logits if self.excluded is None else np.where(self.excluded, np.float32(-np.inf), self.logits)

    @property
    def preds(self) -> IntArray:
        """(N,) predicted class indices; -1, which is no class, where logits are NaN or infinite."""
        return np.where(self.defined, self.asked.argmax(axis=1), -1).astype(np.int64)

    def of(self, places: IntArray | slice) -> "Predictions":
        """Those of some images."""
        return Predictions(
            sample_ids=tuple(np.array(self.sample_ids, dtype=object)[places]),
            logits=self.logits[places],
            target=self.target[places],
            excluded=None if self.excluded is None else self.excluded[places],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictedClasses:
    """What a model predicts for a split, in the split's order: all that is kept of the logits of a large one.

    Attributes:
        sample_ids: (N,) stable names of the images.
        target: (N,) true class indices.
        preds: (N,) predicted class indices; -1, which is no class, where logits are NaN or infinite.
        confidence: (N,) softmax probability of the predicted class.
    """

    sample_ids: tuple[str, ...]
    target: IntArray
    preds: IntArray
    confidence: FloatArray

    @property
    def defined(self) -> BoolArray:
        """(N,) whether all logits of an image are finite."""
        return np.asarray(self.preds >= 0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictedPart:
    """Of one shard: logits (n, C), and active channels (n,) of the target layer."""

    logits: npt.NDArray[np.float32]
    active_channels: IntArray
