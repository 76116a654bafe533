"""Candidate against baseline on the same images."""

from case_monitor.core.errors import DataError
from case_monitor.core.records import MetricSummary, Predictions
from case_monitor.core.statistics import mcnemar_test, newcombe_paired_interval


def accuracy_vs_baseline(candidate: Predictions, baseline: Predictions, confidence_level: float) -> MetricSummary:
    """Accuracy of the candidate minus that of the baseline, with Newcombe's paired interval and McNemar's p.

    Raises:
        DataError: the two were not predicted on the same images.
    """
    if candidate.sample_ids != baseline.sample_ids or (candidate.target != baseline.target).any():
        msg = "baseline: predictions on the candidate's images were expected, others came"
        raise DataError(msg)
    right, base_right = candidate.preds == candidate.target, baseline.preds == baseline.target
    both, neither = int((right & base_right).sum()), int((~right & ~base_right).sum())
    gained, lost = int((right & ~base_right).sum()), int((~right & base_right).sum())
    low, high = newcombe_paired_interval(both, gained, lost, neither, confidence_level)
    test = mcnemar_test(gained, lost)
    return MetricSummary(
        metric="accuracy_vs_baseline",
        method="",
        value=(gained - lost) / len(right),
        n=len(right),
        ci_low=low,
        ci_high=high,
        p_value=test.p_value,
        effect_size=test.effect_size,
        test="mcnemar",
    )
