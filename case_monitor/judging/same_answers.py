"""Is the model a function of the image? Every figure rests on that.

Some images are shown again when all else is done, in pairs that come from far apart in the split: dropout that stays
on, a batch norm without running statistics, a model that looks at its batch or counts its calls, give another answer.
"""

import math
from contextlib import closing

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from case_monitor.domain.arrays import UNDEFINED, IntArray
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures.row import NOT_FINITE, rate_row
from case_monitor.judging.measurer import LayerMeasurer
from case_monitor.judging.predicted_split import PredictedSplit

SHOWN_AGAIN = 100
"""Images, evenly over those drawn: of models that err at random on 3% of them, 100 find 99.8%."""
TOLERANCE = 0.05
"""Greatest difference of any class's probability. Rounding makes 1e-6 in float32, and up to 0.02 in 16 bits."""


Logits = npt.NDArray[np.float32]


def same_answers(
    measurer: LayerMeasurer, predicted: PredictedSplit, confidence_level: float, stage: str
) -> tuple[MetricSummary, MetricSummary]:
    """The share of the images shown again whose answer is the same, with its interval; the largest change of a logit.

    Args:
        measurer: the version at a layer.
        predicted: what it said the first time, in batches.
        confidence_level: of the interval.
        stage: what to call it, for people.
    """
    places = _in_pairs(len(predicted.drawn), SHOWN_AGAIN)
    with closing(measurer.predict_pairs(predicted.drawn[places], stage)) as parts:
        again = [part.logits for part in parts]
    first = predicted.drawn_logits[places]
    before, after = _in_units(first, np.concatenate(again) if len(places) else first)
    same = _alike(before, after)
    rate = rate_row("same_answers", "", int(same.sum()), len(same), confidence_level=confidence_level, reference=0.0)
    return rate, logit_difference(before, after)


def _in_units(first: Logits, second: Logits) -> tuple[Logits, Logits]:
    """Logits (n, C), both in units of how far the first lie apart where that is below 1, of a hundredth above 100.

    Small logits make flat probabilities, in which no change would be seen, whatever share of the answer it is; of large
    ones rounding alone changes more than a small one has.
    """
    finite = first[np.isfinite(first).all(axis=1)].astype(np.float64)
    spread = float(np.sqrt(np.mean((finite - finite.mean(axis=1, keepdims=True)) ** 2))) if finite.size else 1.0
    unit = spread if spread < 1 else max(spread / 100, 1.0)
    if unit == 0:
        return first, second  # where all are equal there is no unit, and no answer either
    with np.errstate(invalid="ignore"):
        return (first / unit).astype(np.float32), (second / unit).astype(np.float32)


def logit_difference(first: Logits, second: Logits) -> MetricSummary:
    """The largest change of any logit (n, C) of the images: what was seen, and no estimate, so that it has no spread.

    Images without finite logits do not count if they have none both times; else the change is without bound.
    """
    finite = [np.asarray(np.isfinite(logits).all(axis=1)) for logits in (first, second)]
    counted = finite[0] | finite[1]
    with np.errstate(invalid="ignore"):
        change = np.abs(first[counted].astype(np.float64) - second[counted])
    n = int(counted.sum())
    most = float(change.max(initial=0.0)) if n and (finite[0] & finite[1])[counted].all() else UNDEFINED
    return MetricSummary(
        metric="logit_difference",
        method="",
        value=most,
        n=n,
        n_undefined=len(first) - n,
        undefined_because=NOT_FINITE if n < len(first) or (n and math.isnan(most)) else None,
        ci_low=most,
        ci_high=most,
    )


def _in_pairs(total: int, most: int) -> IntArray:
    """Up to `most` places, evenly over `total`; of an odd number one is left out, for want of another."""
    even = np.unique(np.linspace(0, max(total - 1, 0), min(total, most)).round().astype(np.int64))
    half = len(even) // 2
    return np.stack([even[:half], even[half : 2 * half]], axis=1).reshape(-1) if half else even


def _alike(first: Logits, second: Logits) -> npt.NDArray[np.bool_]:
    """(n,) whether two answers (n, C) are the same one; those without probabilities are, if both are."""
    with np.errstate(invalid="ignore"):  # infinite logits have no probabilities: NaN
        before, after = (softmax(logits.astype(np.float64), axis=1) for logits in (first, second))
    undefined = np.isnan(before).any(1), np.isnan(after).any(1)
    close = np.abs(before - after).max(1, initial=0.0) <= TOLERANCE
    return np.asarray(np.where(undefined[0] | undefined[1], undefined[0] & undefined[1], close))
