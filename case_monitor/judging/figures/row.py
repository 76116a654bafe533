"""From the scores of some images to one figure with its uncertainty."""

from collections.abc import Callable

import numpy as np

from case_monitor.domain.arrays import UNDEFINED, FloatArray
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.statistics.effects import rate_difference_effect
from case_monitor.judging.statistics.intervals import bootstrap_interval, wilson_interval

MIN_FOR_INTERVAL = 5
"""A bootstrap of fewer images says nothing about the rest."""

DEGENERATE = "empty or constant map"
NOT_FINITE = "NaN or infinite logits"
NO_OBJECT = "empty or constant map, or no object in view"
NO_YES = "class to which the model never says yes"
NO_IMAGE = "class without an image"
OTHER_VIEW = "the two versions see different parts of the image"
ONE_CLASS = "all images are of one class"
ONE_SIDED = "no pixel speaks for the second class"
NO_CONTRAST = "to one of the two versions, no pixel speaks for a class"
TIES = "both maps mark the same pixels, or the model does not mind which are taken away"


def summary_row(
    metric: str,
    method: str,
    values: FloatArray,
    statistic: Callable[..., FloatArray],
    *,
    confidence_level: float,
    seed: int,
    reference: float = 0.0,
    because: str = DEGENERATE,
    class_idx: int | None = None,
) -> MetricSummary:
    """A statistic of the finite values with a bootstrap interval.

    Args:
        metric, method, class_idx: what it is.
        values: (n,) one per image; NaN where undefined.
        statistic: np.mean or np.median.
        confidence_level, seed: of the interval.
        reference: the effect size is (mean - reference) / SD, Cohen's d.
        because: why values are undefined.
    """
    defined = values[np.isfinite(values)]
    n, n_undefined = len(defined), len(values) - len(defined)
    low = high = UNDEFINED
    if n >= MIN_FOR_INTERVAL:
        low, high = bootstrap_interval(defined, statistic, confidence_level, seed)
    sd = float(defined.std(ddof=1)) if n > 1 else UNDEFINED
    return MetricSummary(
        metric=metric,
        method=method,
        class_idx=class_idx,
        value=float(statistic(defined)) if n else UNDEFINED,
        n=n,
        n_undefined=n_undefined,
        undefined_because=because if n_undefined else None,
        ci_low=low,
        ci_high=high,
        sd=sd,
        effect_size=float(defined.mean() - reference) / sd if sd > 0 else UNDEFINED,
    )


def rate_row(
    metric: str,
    method: str,
    successes: int,
    n: int,
    *,
    confidence_level: float,
    reference: float,
    n_undefined: int = 0,
    because: str | None = None,
    class_idx: int | None = None,
) -> MetricSummary:
    """A proportion with Wilson's interval; its effect size is Cohen's h against `reference`."""
    low, high = wilson_interval(successes, n, confidence_level)
    rate = successes / n if n else UNDEFINED
    return MetricSummary(
        metric=metric,
        method=method,
        class_idx=class_idx,
        value=rate,
        n=n,
        n_undefined=n_undefined,
        undefined_because=because if n_undefined or not n else None,
        ci_low=low,
        ci_high=high,
        effect_size=rate_difference_effect(rate, reference),
    )
