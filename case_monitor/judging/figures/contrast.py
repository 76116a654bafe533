"""Figures in the margin of logits: do maps know which class they explain, do they matter, where do they look?"""

from collections.abc import Iterator

import numpy as np

from case_monitor.domain.arrays import UNDEFINED, FloatArray
from case_monitor.domain.scores import (
    CLASS_POSITION,
    FIDELITY_MARGIN,
    ONE_SIDED,
    PAIR_MARGIN,
    POSITION,
    SHOWN_MARGIN,
    SampleScores,
)
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures import row
from case_monitor.judging.statistics.effects import standardised_mean
from case_monitor.judging.statistics.intervals import (
    pair_mean_interval,
    standardised_mean_interval,
    wilson_interval,
)

MOST_TIES = 0.2
"""With more of them, a figure says nothing for want of differences."""
CONTRASTS = {"pair_contrast": PAIR_MARGIN, "shown_contrast": SHOWN_MARGIN}
"""Figure -> the score that it is made of."""


def contrast_summaries(scores: SampleScores, confidence_level: float) -> tuple[MetricSummary, ...]:
    """Contrast of the pair map, contrast and fidelity of what people are shown, and position.

    Of scores that were stored without them there are none.
    """
    rows: list[MetricSummary] = []
    for metric, score in CONTRASTS.items():
        rows += _contrast(metric, score, scores, confidence_level)
    shown = method_of(FIDELITY_MARGIN, scores)
    if shown is not None:
        rows.append(_fidelity(shown, scores.values[shown, FIDELITY_MARGIN], confidence_level))
    return (*rows, *_positions(scores, confidence_level))


def right_about(c: FloatArray) -> FloatArray:
    """(n,) 1 where a map knows its class, 0 where it takes it for the other, 1/2 for a tie; NaN stays NaN."""
    return np.where(np.isnan(c), np.nan, (c > 0) + 0.5 * (c == 0))


def too_many_ties(c: FloatArray) -> bool:
    """Whether more of the values (n,) than `MOST_TIES` are 0."""
    return int((c == 0).sum()) > MOST_TIES * len(c)


def method_of(score: str, scores: SampleScores) -> str | None:
    """The method that a score is of: "" for the model itself; None where it was not measured."""
    return next((method for method, metric in scores.values if metric == score), None)


def _contrast(metric: str, score: str, scores: SampleScores, level: float) -> Iterator[MetricSummary]:
    """The share of images that a map is right about; d_z of c is its effect size. And what is left out, or is a tie."""
    method = method_of(score, scores)
    if method is None:
        return
    c, one_sided = scores.values[method, score], scores.values[method, ONE_SIDED[score]]
    defined = c[np.isfinite(c)]
    n, without, ties = len(defined), int((one_sided == 1).sum()), int((defined == 0).sum())
    wins = float(right_about(defined).sum())
    crowded = too_many_ties(defined)
    low, high = (UNDEFINED, UNDEFINED) if crowded else wilson_interval(wins, n, level)
    reasons = _left_out(len(c) - n, without) + [f"ties in {ties} of {n}: {row.TIES}"] * crowded
    yield MetricSummary(
        metric=metric,
        method=method,
        value=wins / n if n else UNDEFINED,
        n=n,
        n_undefined=len(c) - n,
        undefined_because="; ".join(reasons) or None,
        ci_low=low,
        ci_high=high,
        sd=float(defined.std(ddof=1)) if n > 1 else UNDEFINED,
        effect_size=standardised_mean(defined),
    )
    for name, share, of in (("one_sided", without, len(c)), ("tie", ties, n)):
        yield row.rate_row(f"{metric}_{name}_rate", method, share, of, confidence_level=level, reference=0.0)


def _left_out(undefined: int, one_sided: int) -> list[str]:
    """Why images have no score, each reason with its count where there are two."""
    degenerate = undefined - one_sided
    reasons = [(row.ONE_SIDED, one_sided), (row.DEGENERATE, degenerate)]
    found = [(reason, count) for reason, count in reasons if count > 0]
    return [f"{reason} ({count})" if len(found) > 1 else reason for reason, count in found]


def _fidelity(method: str, f: FloatArray, level: float) -> MetricSummary:
    """Cohen's d of what the map's pixels matter more than random ones."""
    defined = f[np.isfinite(f)]
    d, n = standardised_mean(defined), len(defined)
    low, high = standardised_mean_interval(d, n, level)
    return MetricSummary(
        metric="fidelity_dz",
        method=method,
        value=d,
        n=n,
        n_undefined=len(f) - n,
        undefined_because=row.DEGENERATE if len(f) > n else None,
        ci_low=low,
        ci_high=high,
        sd=float(defined.std(ddof=1)) if n > 1 else UNDEFINED,
    )


def _positions(scores: SampleScores, level: float) -> Iterator[MetricSummary]:
    """Of all pairs of images, and of those of each class."""
    if ("", POSITION) not in scores.values:
        return
    yield _position(scores.values["", POSITION], None, level)
    for u in np.unique(scores.target).tolist():
        yield _position(scores.values["", CLASS_POSITION][scores.target == u], u, level)


def _position(of_each: FloatArray, class_idx: int | None, level: float) -> MetricSummary:
    defined = of_each[np.isfinite(of_each)]
    n = len(defined)
    low, high = pair_mean_interval(defined, level)
    return MetricSummary(
        metric="position",
        method="",
        class_idx=class_idx,
        value=float(defined.mean()) if n else UNDEFINED,
        n=n,
        n_undefined=len(of_each) - n,
        undefined_because=row.DEGENERATE if len(of_each) > n else None,
        ci_low=low,
        ci_high=high,
    )
