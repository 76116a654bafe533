"""Candidate against baseline on the same images (method, "Between versions")."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from case_monitor.domain.arrays import UNDEFINED, FloatArray
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.errors import DataError
from case_monitor.domain.methods import same_pair
from case_monitor.domain.metrics import METRICS
from case_monitor.domain.policy import vs_baseline
from case_monitor.domain.predictions import PredictedClasses
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.figures.contrast import CONTRASTS, method_of, right_about, too_many_ties
from case_monitor.judging.figures.contrast_set_overlap import overlap_summaries
from case_monitor.judging.figures.means import MEANS, means_by_area
from case_monitor.judging.figures.row import (
    DEGENERATE,
    MIN_FOR_INTERVAL,
    NO_CONTRAST,
    NO_IMAGE,
    NOT_FINITE,
    OTHER_VIEW,
    TIES,
    summary_row,
)
from case_monitor.judging.statistics.adjustment import benjamini_hochberg, holm
from case_monitor.judging.statistics.hypothesis_tests import TestResult, mcnemar_test, paired_t_test, wilcoxon_test
from case_monitor.judging.statistics.intervals import newcombe_paired_interval, paired_bootstrap_interval


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measured:
    """What was measured on one version of a model.

    `scores` of the baseline are of the images of the sample that it gets right; those that only one of the two gets
    right are not compared. `field_of_view` is what part of an image it sees.
    """

    preds: PredictedClasses
    contrasts: ContrastSets
    scores: SampleScores
    field_of_view: str = "whole"


def comparison_summaries(
    candidate: Measured,
    baseline: Measured,
    map_agreement: Mapping[str, FloatArray],
    protocol: Protocol,
    confidence_level: float,
) -> tuple[MetricSummary, ...]:
    """All differences between two versions; positive where the candidate's figure is higher.

    Args:
        candidate, baseline: measured on the same images.
        map_agreement: method -> (n,) agreement of the two versions' maps, per image.
        protocol: how they were measured.
        confidence_level: of every interval.

    Raises:
        DataError: the two were not predicted on the same images.
    """
    compare = _Comparison(candidate, baseline, protocol, confidence_level)
    return (
        compare.accuracy(),
        *compare.recalls(),
        *compare.agreements(),
        *compare.drops(),
        *compare.contrasts(),
        *overlap_summaries(candidate.contrasts, baseline.contrasts, confidence_level, protocol.seed),
        *(compare.baseline_agreement(method, values) for method, values in map_agreement.items()),
    )


class _Comparison:
    def __init__(self, candidate: Measured, baseline: Measured, protocol: Protocol, confidence_level: float) -> None:
        first, second = candidate.preds, baseline.preds
        if first.sample_ids != second.sample_ids or (first.target != second.target).any():
            msg = "baseline: predictions on the candidate's images were expected, others came"
            raise DataError(msg)
        self._candidate, self._baseline = candidate, baseline
        self._same_view = candidate.field_of_view == baseline.field_of_view
        self._protocol, self._level = protocol, confidence_level
        self._target = first.target
        self._defined = first.defined & second.defined
        self._right, self._base_right = first.preds == first.target, second.preds == second.target
        both = np.intersect1d(candidate.scores.sample_ids, baseline.scores.sample_ids, return_indices=True)
        self._places, self._base_places = both[1], both[2]
        ours, theirs = candidate.scores.broken[self._places], baseline.scores.broken[self._base_places]
        self._broken = int((ours | theirs).sum())

    def accuracy(self) -> MetricSummary:
        """Difference of accuracies, with Newcombe's paired interval and McNemar's p."""
        return self._rate_difference("accuracy", np.ones(len(self._target), dtype=np.bool_), None)

    def recalls(self) -> Iterator[MetricSummary]:
        """The same over the images of each class; p adjusted over the classes by Benjamini and Hochberg."""
        num_classes = len(self._candidate.contrasts.members)
        rows = [self._rate_difference("recall", self._target == u, u) for u in range(num_classes)]
        adjusted = benjamini_hochberg(np.array([row.p_value for row in rows]))
        return (replace(row, p_adjusted=float(p)) for row, p in zip(rows, adjusted, strict=True))

    def _rate_difference(self, metric: str, of: npt.NDArray[np.bool_], class_idx: int | None) -> MetricSummary:
        metric, broken = vs_baseline(metric), int((of & ~self._defined).sum())
        if broken:  # whatever the other images say, a model that gives NaN is not to be compared
            n = int(of.sum()) - broken
            return MetricSummary(
                metric=metric,
                method="",
                class_idx=class_idx,
                value=UNDEFINED,
                n=n,
                n_undefined=broken,
                undefined_because=NOT_FINITE,
            )
        right, base_right = self._right[of], self._base_right[of]
        both, neither = int((right & base_right).sum()), int((~right & ~base_right).sum())
        gained, lost = int((right & ~base_right).sum()), int((~right & base_right).sum())
        n = len(right)
        low, high = newcombe_paired_interval(both, gained, lost, neither, self._level)
        test = mcnemar_test(gained, lost)
        differences = right.astype(np.float64) - base_right
        return MetricSummary(
            metric=metric,
            method="",
            class_idx=class_idx,
            value=(gained - lost) / n if n else UNDEFINED,
            n=n,
            undefined_because=None if n else NO_IMAGE,
            ci_low=low,
            ci_high=high,
            sd=float(differences.std(ddof=1)) if n > 1 else UNDEFINED,
            p_value=test.p_value,
            effect_size=test.effect_size,
            test="mcnemar",
        )

    def agreements(self) -> Iterator[MetricSummary]:
        """Differences of mean and median agreement, per method."""
        yield from self._means("")
        of = {method: self._pair("agreement_mean", method, "") for method in self._protocol.methods}
        yield from self._family("agreement_median", of, np.median, _signed_rank_test, "wilcoxon two-sided")

    def drops(self) -> Iterator[MetricSummary]:
        """Differences of mean confidence drop, per method, area and fill."""
        for suffix in self._protocol.suffixes:
            yield from self._means(suffix)

    def contrasts(self) -> Iterator[MetricSummary]:
        """Differences in how often maps know their class, with Newcombe's paired interval; a tie is half right."""
        for metric, score in CONTRASTS.items():
            of = [method_of(score, measured.scores) for measured in (self._candidate, self._baseline)]
            if of[0] is not None and of[0] == of[1] and (of[0] or self._same_pair):
                yield self._contrast(metric, of[0], score)

    @property
    def _same_pair(self) -> bool:
        """Else a difference would be one of maps, not of versions."""
        return same_pair(self._candidate.scores.shown, self._baseline.scores.shown)

    def _contrast(self, metric: str, method: str, score: str) -> MetricSummary:
        first, second = self._candidate.scores.values[method, score], self._baseline.scores.values[method, score]
        ours, theirs = first[self._places], second[self._base_places]
        if self._broken:
            return self._not_comparable(metric, method, len(ours))
        both = np.isfinite(ours) & np.isfinite(theirs)
        x, y = right_about(ours[both]), right_about(theirs[both])
        n, left_out = len(x), int((~both).sum())
        crowded = too_many_ties(ours[both]) or too_many_ties(theirs[both])
        a, b, c, d = (float(of.sum()) for of in (x * y, x * (1 - y), (1 - x) * y, (1 - x) * (1 - y)))
        low, high = (UNDEFINED, UNDEFINED) if crowded else newcombe_paired_interval(a, b, c, d, self._level)
        test = mcnemar_test(int((x > y).sum()), int((x < y).sum()))
        return MetricSummary(
            metric=vs_baseline(metric),
            method=method,
            value=float((x - y).mean()) if n else UNDEFINED,
            n=n,
            n_undefined=left_out,
            undefined_because="; ".join([NO_CONTRAST] * bool(left_out) + [TIES] * crowded) or None,
            ci_low=low,
            ci_high=high,
            sd=float((x - y).std(ddof=1)) if n > 1 else UNDEFINED,
            p_value=test.p_value,
            effect_size=test.effect_size,
            test="mcnemar",
        )

    def _means(self, suffix: str) -> Iterator[MetricSummary]:
        for name in means_by_area(by_area=bool(suffix)):
            if METRICS[name].compared:
                of = {method: self._pair(name, method, suffix) for method in self._protocol.methods}
                yield from self._family(name.format(suffix), of, np.mean, _t_test, "paired-t two-sided")

    def _pair(self, name: str, method: str, suffix: str) -> tuple[FloatArray, FloatArray]:
        """Both versions' values of the images that both have."""
        of, first, second = MEANS[name], self._candidate.scores, self._baseline.scores
        return of(first, method, suffix)[self._places], of(second, method, suffix)[self._base_places]

    def _family(
        self,
        metric: str,
        of: Mapping[str, tuple[FloatArray, FloatArray]],
        statistic: Callable[..., FloatArray],
        run_test: Callable[[FloatArray, FloatArray], TestResult],
        test_name: str,
    ) -> Iterator[MetricSummary]:
        rows = []
        for method, (first, second) in of.items():
            defined = np.isfinite(first) & np.isfinite(second)
            if self._broken:  # as with accuracy: which images a broken model leaves is of its own choosing
                rows.append(self._not_comparable(metric, method, len(first)))
                continue
            row = self._difference(metric, method, first[defined], second[defined], int((~defined).sum()), statistic)
            test = run_test(first[defined], second[defined])
            rows.append(replace(row, p_value=test.p_value, effect_size=test.effect_size, test=test_name))
        adjusted = holm(np.array([row.p_value for row in rows]))
        return (replace(row, p_adjusted=float(p)) for row, p in zip(rows, adjusted, strict=True))

    def _difference(
        self,
        metric: str,
        method: str,
        first: FloatArray,
        second: FloatArray,
        n_undefined: int,
        statistic: Callable[..., FloatArray],
    ) -> MetricSummary:
        n = len(first)
        low = high = UNDEFINED
        if n >= MIN_FOR_INTERVAL:
            low, high = paired_bootstrap_interval(first, second, statistic, self._level, self._protocol.seed)
        return MetricSummary(
            metric=vs_baseline(metric),
            method=method,
            value=float(statistic(first) - statistic(second)) if n else UNDEFINED,
            n=n,
            n_undefined=n_undefined,
            undefined_because=DEGENERATE if n_undefined else None,
            ci_low=low,
            ci_high=high,
            sd=float((first - second).std(ddof=1)) if n > 1 else UNDEFINED,
        )

    def _not_comparable(self, metric: str, method: str, n: int) -> MetricSummary:
        return MetricSummary(
            metric=vs_baseline(metric),
            method=method,
            value=UNDEFINED,
            n=n - self._broken,
            n_undefined=self._broken,
            undefined_because=NOT_FINITE,
        )

    def baseline_agreement(self, method: str, values: FloatArray) -> MetricSummary:
        """Explanation drift: how much the two versions' maps of an image and its class share; 1 is no drift."""
        return summary_row(
            "baseline_agreement",
            method,
            values,
            np.mean,
            confidence_level=self._level,
            seed=self._protocol.seed,
            reference=METRICS["baseline_agreement"].reference or 0.0,
            because=DEGENERATE if self._same_view else OTHER_VIEW,
        )


def _t_test(first: FloatArray, second: FloatArray) -> TestResult:
    return paired_t_test(first, second, "two-sided")


def _signed_rank_test(first: FloatArray, second: FloatArray) -> TestResult:
    return wilcoxon_test(first - second, 0.0, "two-sided")
