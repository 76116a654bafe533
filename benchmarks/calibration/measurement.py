"""What is measured on a network once, so that verdicts of any of the images can be drawn from it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from benchmarks.calibration.images import Labelled
from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.predictions import PredictedPart, Predictions
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import Sample
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.contrast_sets import contrast_sets
from case_monitor.judging.figures.between_versions import Measured
from case_monitor.judging.predicted_split import PredictedSplit, predicted_classes
from case_monitor.judging.same_answers import same_answers
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.explain import join_explained
from case_monitor.measuring.held_model import HeldModel
from case_monitor.measuring.local import Bench, LocalMeasurer
from case_monitor.measuring.position import positions
from case_monitor.measuring.workers.shards import cut
from tests.support.sources import TensorSource
from tests.support.whole import confusion_matrix, explainer, predict

_BATCH, _PAIR = 50, 2


def protocol_of(shown: str) -> Protocol:
    """As by default, but only with the method that people are shown, and the one area that rules ask about."""
    return Protocol(methods=(shown,), areas=(0.05,), sample_size=10**9)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """A network on a pool of images; scores are of the images that it gets right, in the pool's order.

    Attributes:
        shown: the method that people are shown.
        target: (N,) true classes.
        logits, again: (N, C) what it answers, and what it answers when it is asked again in pairs.
        top2: (n,) second classes.
        confidence: (n,) of the first.
        broken: (n,) passes that gave no number.
        places: (n, ...) where the model looks.
        values: (method, metric) -> (n,).
    """

    shown: str
    target: IntArray
    logits: npt.NDArray[np.float32]
    again: npt.NDArray[np.float32]
    top2: IntArray
    confidence: FloatArray
    broken: IntArray
    places: npt.NDArray[np.uint8]
    values: dict[tuple[str, str], FloatArray]

    @property
    def preds(self) -> Predictions:
        ids = tuple(f"image-{i:05d}" for i in range(len(self.target)))
        return Predictions(sample_ids=ids, logits=self.logits, target=self.target)

    @property
    def right(self) -> npt.NDArray[np.bool_]:
        """(N,) whether it gets an image right, and scores are of it."""
        return np.asarray(self.preds.preds == self.target)

    @property
    def accuracy(self) -> float:
        return float(self.right.mean())

    def drawn(self, images: IntArray) -> "Drawn":
        """What would have been measured on these images of the pool only."""
        preds = self.preds
        chosen = Predictions(
            sample_ids=tuple(preds.sample_ids[i] for i in images),
            logits=self.logits[images],
            target=self.target[images],
        )
        correct = images[chosen.preds == chosen.target]
        rows = np.cumsum(self.right)[correct] - 1
        values = {key: scores[rows] for key, scores in self.values.items()}
        values |= {("", name): found for name, found in positions(self.places[rows], self.target[correct]).items()}
        scores = SampleScores(
            sample_ids=tuple(preds.sample_ids[i] for i in correct),
            target=self.target[correct],
            top2=self.top2[rows],
            confidence=self.confidence[rows],
            values=values,
            broken_passes=self.broken[rows],
        )
        return Drawn(of=self, images=images, preds=chosen, scores=scores)

    def save(self, file: Path) -> None:
        """Whole, or not at all."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in {"shown", "values"}}
        scores = {f"{_SCORE}{method}/{metric}": v for (method, metric), v in self.values.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        with unfinished.open("wb") as stream:
            np.savez_compressed(stream, shown=np.array(self.shown), **arrays, **scores)
        os.replace(unfinished, file)

    @classmethod
    def load(cls, file: Path) -> "Measurement":
        with np.load(file) as found:
            arrays: dict[str, Any] = {name: found[name] for name in found.files}
        scores = {name: arrays.pop(name) for name in list(arrays) if name.startswith(_SCORE)}
        keys = {name: tuple(name.removeprefix(_SCORE).split("/")) for name in scores}
        shown = str(arrays.pop("shown"))
        return cls(shown=shown, values={(keys[n][0], keys[n][1]): v for n, v in scores.items()}, **arrays)

    def less_accurate(self, accuracy: float) -> "Measurement":
        """With wrong answers mixed in, until it is exactly as accurate as that."""
        right = np.flatnonzero(self.right)
        too_many = max(0, len(right) - round(accuracy * len(self.target)))
        spoilt = np.random.default_rng(0).choice(right, too_many, replace=False)
        answers = []
        for logits in (self.logits, self.again):
            wrong = logits.copy()
            wrong[spoilt, self.target[spoilt]] = logits[spoilt].min(axis=1) - 1
            answers.append(wrong)
        kept = ~np.isin(right, spoilt)
        return replace(
            self,
            logits=answers[0],
            again=answers[1],
            top2=self.top2[kept],
            confidence=self.confidence[kept],
            broken=self.broken[kept],
            places=self.places[kept],
            values={key: scores[kept] for key, scores in self.values.items()},
        )


_SCORE = "score "


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


def measure(model: nn.Module, pool: Labelled, layer: str, shown: str, num_classes: int) -> Measurement:
    """Predict twice and explain, as the product does."""
    source, protocol = TensorSource(pool.images, pool.target.numpy()), protocol_of(shown)
    preds = predict(model, source, num_classes=num_classes, batch_size=_BATCH)
    again = predict(model, source, num_classes=num_classes, batch_size=_PAIR)
    conditions = Conditions(source=source, num_classes=num_classes, protocol=protocol, device="cpu")
    held = HeldModel(model=model, protocol=protocol, device="cpu")
    found = LocalMeasurer(model=held, conditions=conditions, bench=Bench()).at(layer)
    sets = contrast_sets(confusion_matrix(preds, num_classes), protocol.contrast_k)
    sample = Sample.of(np.arange(len(preds.target)), preds)
    explaining = explainer(model, found.layer, sets.weights(), source, protocol, _BATCH, shown=shown)
    n = len(sample.indices)
    parts = list(explaining.explain(sample, cut(n, n, _BATCH), lambda _: None))
    scores, _ = join_explained(parts, sample, protocol, shown)
    return Measurement(
        shown=shown,
        target=preds.target,
        logits=preds.logits,
        again=again.logits,
        top2=scores.top2,
        confidence=scores.confidence,
        broken=scores.broken_passes if scores.broken_passes is not None else np.zeros(n, dtype=np.int64),
        places=np.concatenate([part.places for part in parts]) if parts else np.empty((0, 1), dtype=np.uint8),
        values=dict(scores.values),
    )
