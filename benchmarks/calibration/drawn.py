"""Some images of a pool, as if they were all that a network had been measured on."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from benchmarks.calibration.measure import protocol_of
from benchmarks.calibration.measurement import Measurement
from case_monitor.domain.arrays import IntArray
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.predictions import PredictedPart, Predictions
from case_monitor.domain.sample import Sample
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.contrast_sets import contrast_sets
from case_monitor.judging.figures.between_versions import Measured
from case_monitor.judging.predicted_split import PredictedSplit, predicted_classes
from case_monitor.judging.same_answers import same_answers
from case_monitor.measuring.position import positions
from tests.support.whole import confusion_matrix


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawn:
    """Some images of a pool, as if they were all."""

    of: Measurement
    images: IntArray
    preds: Predictions
    scores: SampleScores

    @property
    def measured(self) -> Measured:
        return Measured(preds=predicted_classes(self.preds), contrasts=_contrasts(self.of), scores=self.scores)

    def same_answers(self, level: float) -> tuple[MetricSummary, MetricSummary]:
        """As `case_monitor.judging.same_answers` asks, from the answers that are kept."""
        everything = np.arange(len(self.images))
        predicted = PredictedSplit(
            classes=predicted_classes(self.preds),
            confmat=confusion_matrix(self.preds, self.preds.logits.shape[1]),
            active_channels=np.zeros(self.preds.logits.shape[1]),
            sample=Sample.of(everything, self.preds),
            drawn=everything,
            drawn_logits=self.preds.logits,
        )
        return same_answers(_Kept(self.of.again[self.images]), predicted, level, "again")


@lru_cache(maxsize=2)
def _contrasts(of: Measurement) -> ContrastSets:
    """Those of the whole pool: a split is larger than the sample that is explained."""
    return contrast_sets(confusion_matrix(of.preds, of.logits.shape[1]), protocol_of(of.shown).contrast_k)


@dataclass(frozen=True, slots=True)
class _Kept:
    """Answers of a model that is not here any more."""

    again: npt.NDArray[np.float32]

    def predict_pairs(self, indices: IntArray, _stage: str) -> Iterator[PredictedPart]:
        yield PredictedPart(logits=self.again[indices], active_channels=np.zeros(len(indices), dtype=np.int64))


def drawn(of: Measurement, images: IntArray) -> Drawn:
    """What would have been measured on these images of the pool only."""
    preds = of.preds
    chosen = Predictions(
        sample_ids=tuple(preds.sample_ids[i] for i in images),
        logits=of.logits[images],
        target=of.target[images],
    )
    correct = images[chosen.preds == chosen.target]
    rows = np.cumsum(of.right)[correct] - 1
    values = {key: scores[rows] for key, scores in of.values.items()}
    values |= {("", name): found for name, found in positions(of.places[rows], of.target[correct]).items()}
    scores = SampleScores(
        sample_ids=tuple(preds.sample_ids[i] for i in correct),
        target=of.target[correct],
        top2=of.top2[rows],
        confidence=of.confidence[rows],
        values=values,
        broken_passes=of.broken[rows],
    )
    return Drawn(of=of, images=images, preds=chosen, scores=scores)
