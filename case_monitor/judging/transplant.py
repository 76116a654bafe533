"""Where maps fall in one place, is it what is there that the model reads? Some of it is put into other images.

A model that reads a mark turns to a class when pixels come, from images of the class, in the place that its maps point
at; one whose images are merely aligned turns less, as it reads what else is there, too. Only versions whose
`position` is high pay: two passes for each of 100 images of a class.
"""

import math
from collections.abc import Sequence
from contextlib import closing

import numpy as np

from case_monitor.domain.arrays import UNDEFINED, FloatArray, IntArray
from case_monitor.domain.policy import ONE_PLACE, ONE_PLACE_OF_CLASS
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures.contrast import right_about
from case_monitor.judging.figures.row import NOT_FINITE
from case_monitor.judging.found import Found
from case_monitor.judging.statistics.effects import standardised_mean
from case_monitor.judging.statistics.intervals import wilson_interval

RECEIVING = 100
"""Images of other classes."""
_MOST_CLASSES = 5
_FEWEST = 5  # explained images of a class, and of others


def transplants(
    found: Found, summaries: Sequence[MetricSummary], confidence_level: float, stage: str
) -> tuple[MetricSummary, ...]:
    """Of each class that maps fall in one place for: how often what is there moves other images towards the class.

    The rise of the class's logit, less the mean of all, when the pixels come from an image of the class, is compared
    with the rise when they come from an image of any other class. The figure is the share of images in which the first
    is larger, a tie counting half; the effect size is d_z of the differences.

    Args:
        found: the version at a layer; nothing comes of scores that were stored before.
        summaries: its figures.
        confidence_level: of the interval.
        stage: what to call the work, for people.
    """
    rows = []
    for u in _suspected(summaries):
        pixels = found.scores.places.get(u)
        if pixels is not None and len(pixels):
            rises = _rises(found, u, pixels, stage)
            if len(rises):
                rows.append(_row(u, rises, confidence_level))
    return tuple(rows)


def _suspected(summaries: Sequence[MetricSummary]) -> list[int]:
    """The classes whose maps fall in one place most, where they do so at all."""
    position = [s for s in summaries if s.metric == "position"]
    everywhere = any(s.class_idx is None and s.value > ONE_PLACE for s in position)
    above = 0.0 if everywhere else ONE_PLACE_OF_CLASS
    high = [(-s.value, s.class_idx) for s in position if s.class_idx is not None and s.value > above and s.n >= _FEWEST]
    return [u for _, u in sorted(high)[:_MOST_CLASSES]]


def _rises(found: Found, u: int, pixels: IntArray, stage: str) -> FloatArray:
    """(n,) how much more the class's pixels move an image of another class than pixels of another such image do."""
    sample = found.predicted.sample
    of_class = sample.preds.target == u
    too = False if sample.preds.excluded is None else sample.preds.excluded[:, u]
    own, others = sample.indices[of_class], sample.indices[~(of_class | too)]
    if min(len(own), len(others)) < _FEWEST:
        return np.empty(0)
    receiving = others[np.unique(np.linspace(0, len(others) - 1, RECEIVING).round().astype(int))]
    n = len(receiving)
    giving = np.concatenate([own[np.arange(n) % len(own)], np.roll(receiving, n // 2)])
    measurer = found.subject.measurer.with_pixels(np.tile(receiving, 2), giving, pixels)
    with closing(measurer.at(found.layer, known=True).predict(stage)) as parts:
        logits = np.concatenate([part.logits for part in parts]).astype(np.float64)
    with np.errstate(invalid="ignore"):  # infinite logits have no mean
        evidence = logits[:, u] - logits.mean(axis=1)
        rises: FloatArray = evidence[:n] - evidence[n:]
    return np.where(np.isfinite(rises), rises, UNDEFINED)


def _row(u: int, rises: FloatArray, level: float) -> MetricSummary:
    defined = rises[np.isfinite(rises)]
    n = len(defined)
    wins = float(right_about(defined).sum())
    low, high = wilson_interval(wins, n, level)
    return MetricSummary(
        metric="transplant",
        method="",
        class_idx=u,
        value=wins / n if n else math.nan,
        n=n,
        n_undefined=len(rises) - n,
        undefined_because=NOT_FINITE if len(rises) > n else None,
        ci_low=low,
        ci_high=high,
        sd=float(defined.std(ddof=1)) if n > 1 else UNDEFINED,
        effect_size=standardised_mean(defined),
    )
