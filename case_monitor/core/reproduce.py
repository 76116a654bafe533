"""Does a stored evaluation still come out? A few of its images are predicted and explained again."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from case_monitor.core.drift import Explained
from case_monitor.core.engine import Engine
from case_monitor.core.passes import IN_TURN, Passes
from case_monitor.core.predictions import ImageSource, Progress, no_progress
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import UNDEFINED, ContrastSets, FloatArray, SampleScores, Split
from case_monitor.core.reproduction import Reproduction
from case_monitor.core.setup import Setup


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is stored of an evaluation, as far as it takes to do it again."""

    scores: SampleScores
    contrast_sets: ContrastSets
    target_layer: str


def reproduce(
    model: nn.Module,
    stored: Stored,
    split: Split,
    source: ImageSource,
    *,
    protocol: Protocol,
    images: int,
    device: str = "cpu",
    progress: Progress = no_progress,
    engine: Engine = IN_TURN,
) -> Reproduction:
    """Predict and explain some of the stored images again, and compare.

    Args:
        model: the version, loaded.
        stored: the evaluation, of this version on this split by this protocol.
        split, source: the images.
        protocol: how to measure.
        images: how many of the explained ones to take, evenly over the sample; the same ones every time.
        device: torch device.
        progress: called as work goes on.
        engine: where it is done.
    """
    places = np.unique(np.linspace(0, len(stored.scores.sample_ids) - 1, images).round().astype(int))
    known = _taken(stored.scores, places)
    position = {name: i for i, name in enumerate(source.sample_ids)}
    part = _Part(source, [position[name] for name in known.sample_ids])
    setup = Setup(
        split=replace(split, size=len(places)),
        source=part,
        protocol=replace(protocol, sample_size=len(places)),
        device=device,
    )
    passes = Passes(setup, progress, engine)
    about = passes.survey(model, stored.target_layer)
    predicted = passes.predict(model, about, "predict again")
    explained = Explained(model=model, layer=stored.target_layer, contrast=stored.contrast_sets.weights())
    again = set(predicted.sample.preds.sample_ids)  # those that are predicted correctly, in the same order
    known = _taken(known, np.array([i for i, name in enumerate(known.sample_ids) if name in again], dtype=int))
    sample = replace(predicted.sample, top2=known.top2)  # where two classes are level, rounding says which is second
    found, _ = passes.explain(explained, sample, about.batch_size, "explain again")
    return _compare(found, known, len(places))


def _compare(found: SampleScores, known: SampleScores, n: int) -> Reproduction:
    again = len(known.sample_ids)
    differences = {key: _mean_difference(found.values[key], values) for key, values in known.values.items()}
    (method, metric), worst = max(differences.items(), key=lambda item: item[1])
    return Reproduction(
        n=n,
        changed_predictions=n - again,
        confidence_difference=float(np.abs(found.confidence - known.confidence).max()) if again else UNDEFINED,
        score_difference=worst,
        worst=f"{metric} of {method}",
    )


def _mean_difference(found: FloatArray, known: FloatArray) -> float:
    """Without the image that differs most; of one image nothing is left, and only its confidence counts."""
    if not len(known):
        return math.nan
    difference = np.abs(found - known)
    undefined = np.isnan(found), np.isnan(known)
    difference[undefined[0] & undefined[1]] = 0.0
    difference[undefined[0] ^ undefined[1]] = 1.0
    return float((difference.sum() - difference.max()) / max(len(known) - 1, 1))


def _taken(scores: SampleScores, places: npt.NDArray[np.intp]) -> SampleScores:
    return SampleScores(
        sample_ids=tuple(scores.sample_ids[i] for i in places),
        target=scores.target[places],
        top2=scores.top2[places],
        confidence=scores.confidence[places],
        values={key: values[places] for key, values in scores.values.items()},
        broken_passes=None if scores.broken_passes is None else scores.broken_passes[places],
    )


class _Part:
    """Some images of a source, as a source."""

    def __init__(self, source: ImageSource, indices: Sequence[int]) -> None:
        self._source, self._indices = source, indices
        self.sample_ids = tuple(source.sample_ids[i] for i in indices)
        self.target = source.target[list(indices)]

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        return self._source.batches([self._indices[i] for i in indices], batch_size)

    def to_display(self, images: Tensor) -> npt.NDArray[np.uint8]:
        return self._source.to_display(images)
