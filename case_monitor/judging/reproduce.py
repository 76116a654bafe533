"""Does a stored evaluation still come out? A few of its images are predicted and explained again."""

import math
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from case_monitor.domain.arrays import UNDEFINED, FloatArray
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.diagnostics import SCORES
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.scores import MARGINS, OF_THE_SAMPLE, SampleScores
from case_monitor.judging.measurer import Subject
from case_monitor.judging.predicted_split import join_predicted

UNBOUNDED = MARGINS | {name for name, score in SCORES.items() if None in {score.low, score.high}}
"""Scores of no fixed scale."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What is stored of an evaluation, as far as it takes to do it again."""

    scores: SampleScores
    contrast_sets: ContrastSets
    target_layer: str


def reproduce(subject: Subject, stored: Stored, *, protocol: Protocol, images: int) -> Reproduction:
    """Predict and explain some of the stored images again, and compare.

    Args:
        subject: the version.
        stored: the evaluation, of this version on this split by this protocol.
        protocol: how to measure.
        images: how many of the explained ones to take, evenly over the sample; the same ones every time.
    """
    places = np.unique(np.linspace(0, len(stored.scores.sample_ids) - 1, images).round().astype(int))
    known = _taken(stored.scores, places)
    position = {name: i for i, name in enumerate(subject.sample_ids)}
    indices = [position[name] for name in known.sample_ids]
    measurer = subject.measurer.of_images(indices).at(stored.target_layer, known=True)
    every = replace(protocol, sample_size=len(places))
    with closing(measurer.predict("predict again")) as parts:
        excluded = None if subject.excluded is None else subject.excluded[indices]
        target, num_classes = subject.target[indices], subject.split.num_classes
        predicted = join_predicted(parts, known.sample_ids, target, num_classes, every, excluded)
    again = set(predicted.sample.preds.sample_ids)  # those that are predicted correctly, in the same order
    known = _taken(known, np.array([i for i, name in enumerate(known.sample_ids) if name in again], dtype=int))
    sample = replace(predicted.sample, top2=known.top2)  # where two classes are level, rounding says which is second
    shown = known.shown or protocol.methods[0]
    found, _ = measurer.explain(stored.contrast_sets, sample, shown, "explain again")
    return _compare(found, known, len(places))


def _compare(found: SampleScores, known: SampleScores, n: int) -> Reproduction:
    again = len(known.sample_ids)
    alone = {key: values for key, values in known.values.items() if key[1] not in OF_THE_SAMPLE}
    differences = {key: _mean_difference(*_scaled(key[1], found.values[key], then)) for key, then in alone.items()}
    (method, metric), worst = max(differences.items(), key=lambda item: item[1])
    return Reproduction(
        n=n,
        changed_predictions=n - again,
        confidence_difference=float(np.abs(found.confidence - known.confidence).max()) if again else UNDEFINED,
        score_difference=worst,
        worst=f"{metric} of {method}" if method else metric,
    )


def _scaled(metric: str, found: FloatArray, known: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Both as they are; those of no fixed scale, such as logits, as parts of the root mean square then."""
    defined = known[np.isfinite(known)]
    size = float(np.sqrt((defined**2).mean())) if metric in UNBOUNDED and len(defined) else 1.0
    return (found / size, known / size) if size > 0 else (found, known)


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
