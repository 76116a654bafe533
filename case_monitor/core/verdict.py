"""The gate: figures and a policy in, a verdict and alerts in plain words out. Fails closed on NaN and on too little."""

import math
from collections.abc import Iterator, Sequence

from case_monitor.core.errors import ConfigError
from case_monitor.core.policy import Policy, Severity, Threshold
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import Alert, MetricSummary, ModelVersion, Status, ThresholdResult, Verdict
from case_monitor.core.saliency import METHODS
from case_monitor.core.summary import (
    INSENSITIVE,
    MODEL_METRICS,
    metrics_against_case,
    metrics_of_methods,
    metrics_per_class,
)
from case_monitor.core.wording import alert_text, method_title

GATE_METHOD = "gate"


def check_policy(policy: Policy, protocol: Protocol) -> None:
    """Refuse a policy that could never be judged: unknown metrics or methods, or a gate method not evaluated.

    Raises:
        ConfigError: names the field, what was expected and what came.
    """
    _expect("protocol.methods", protocol.methods, set(METHODS))
    _expect("policy.gate_method", [policy.gate_method], set(protocol.methods))
    if not any(t.severity is Severity.BLOCK for t in policy.thresholds):
        msg = "policy.thresholds: at least one rule of severity 'block' was expected, none came"
        raise ConfigError(msg)
    for i, threshold in enumerate(policy.thresholds):
        _check_threshold(f"policy.thresholds[{i}]", threshold, policy, protocol)


def _check_threshold(field: str, threshold: Threshold, policy: Policy, protocol: Protocol) -> None:
    per_class = metrics_per_class(protocol)
    known = per_class if threshold.per_class else {*MODEL_METRICS, *metrics_of_methods(protocol)} - {"recall"}
    _expect(f"{field}.metric", [threshold.metric], known)
    if threshold.metric in MODEL_METRICS:
        if threshold.method is not None:
            msg = f"{field}.method: none was expected with {threshold.metric}, {threshold.method!r} came"
            raise ConfigError(msg)
        return
    methods = {GATE_METHOD, *protocol.methods}
    if threshold.metric in metrics_against_case(protocol):
        methods -= {"case"} if policy.gate_method != "case" else {"case", GATE_METHOD}
    _expect(f"{field}.method", [threshold.method or ""], methods)


def _expect(field: str, values: Sequence[str], allowed: set[str]) -> None:
    wrong = [value for value in values if value not in allowed]
    if wrong or not values:
        came = ", ".join(map(repr, wrong)) or "nothing"
        msg = f"{field}: some of {', '.join(sorted(allowed))} were expected, {came} came"
        raise ConfigError(msg)


def judge(
    model: ModelVersion,
    summaries: Sequence[MetricSummary],
    policy: Policy,
    *,
    has_baseline: bool,
    class_names: Sequence[str],
) -> tuple[Verdict, tuple[Alert, ...]]:
    """Apply every threshold. A rule passes only when the whole confidence interval clears its limit.

    The verdict is `fail` when a blocking rule is broken by its whole interval, `insufficient` when a blocking rule can
    be decided neither way (too few images, NaN, an interval across the limit), and `pass` only when every blocking
    rule passes. Rules against a baseline are left out when there is none.
    """
    results = [
        result
        for threshold in policy.thresholds
        if has_baseline or not threshold.metric.endswith("_vs_baseline")
        for result in _apply(threshold, summaries, policy, len(class_names))
    ]
    blocking = {r.status for r in results if r.threshold.severity is Severity.BLOCK}
    if Status.FAIL in blocking:
        status = Status.FAIL
    elif Status.INSUFFICIENT in blocking or not blocking:
        status = Status.INSUFFICIENT
    else:
        status = Status.PASS
    alerts = tuple(_alert(r, summaries, class_names) for r in results if _is_alarming(r))
    sentence = _sentence(model, status, policy, results, alerts)
    return Verdict(status=status, sentence=sentence, results=tuple(results)), alerts


def _apply(
    threshold: Threshold, summaries: Sequence[MetricSummary], policy: Policy, num_classes: int
) -> Iterator[ThresholdResult]:
    method = policy.gate_method if threshold.method == GATE_METHOD else threshold.method or ""
    found = {s.class_idx: s for s in summaries if (s.metric, s.method) == (threshold.metric, method)}
    for class_idx in range(num_classes) if threshold.per_class else [None]:
        # A class without a correctly classified image has no figure; that must not let the rule pass.
        missing = MetricSummary(metric=threshold.metric, method=method, class_idx=class_idx, value=float("nan"), n=0)
        row = found.get(class_idx, missing)
        status, reason = _decide(row, threshold, policy)
        yield ThresholdResult(
            threshold=threshold,
            method=method or None,
            class_idx=row.class_idx,
            status=status,
            observed=row.value,
            ci_low=row.ci_low,
            ci_high=row.ci_high,
            n=row.n,
            reason=reason,
        )


def _decide(row: MetricSummary, threshold: Threshold, policy: Policy) -> tuple[Status, str]:
    min_samples = policy.min_class_samples if threshold.per_class else policy.min_samples
    if row.n < min_samples:
        return Status.INSUFFICIENT, f"{row.n} images with a defined score, at least {min_samples} are needed"
    if not all(map(math.isfinite, (row.value, row.ci_low, row.ci_high))):
        return Status.INSUFFICIENT, f"undefined (n = {row.n}, {row.n_undefined} undefined)"
    observed = f"{row.value:.3f} [{row.ci_low:.3f}, {row.ci_high:.3f}]"
    limit = threshold.limit
    good, bad = (row.ci_low > limit, row.ci_high <= limit)
    if not threshold.greater_is_better:
        good, bad = (row.ci_high < limit, row.ci_low >= limit)
    if good:
        return Status.PASS, f"{observed} clears the limit {limit:g}"
    if bad:
        return Status.FAIL, f"{observed} is beyond the limit {limit:g}"
    return Status.INSUFFICIENT, f"{observed} lies across the limit {limit:g}; {_enough(row, limit)}"


def _enough(row: MetricSummary, limit: float) -> str:
    """How many images would decide: an interval shrinks with the square root of n."""
    distance = abs(row.value - limit)
    if distance < 1e-6 or row.n == 0:
        return "no number of images is likely to decide"
    reach = max(row.value - row.ci_low, row.ci_high - row.value)
    needed = math.ceil(row.n * (reach / distance) ** 2 * 1.1)
    return f"about {needed} images would decide"


def _is_alarming(result: ThresholdResult) -> bool:
    if result.threshold.severity is Severity.BLOCK:
        return result.status is not Status.PASS
    return result.status is Status.FAIL


def _alert(result: ThresholdResult, summaries: Sequence[MetricSummary], class_names: Sequence[str]) -> Alert:
    class_name = None if result.class_idx is None else class_names[result.class_idx]
    message, advice = alert_text(result, class_name, _sensitive_methods(summaries))
    return Alert(
        rule=result.threshold.metric,
        method=result.method,
        class_idx=result.class_idx,
        severity=result.threshold.severity,
        status=result.status,
        observed=result.observed,
        limit=result.threshold.limit,
        message=message,
        advice=advice,
    )


def _sensitive_methods(summaries: Sequence[MetricSummary]) -> list[str]:
    """Methods whose maps do tell classes apart on this model."""
    return [
        s.method
        for s in summaries
        if s.metric == "agreement_median" and s.class_idx is None and s.ci_high < INSENSITIVE
    ]


def _sentence(
    model: ModelVersion,
    status: Status,
    policy: Policy,
    results: Sequence[ThresholdResult],
    alerts: Sequence[Alert],
) -> str:
    if status is Status.PASS:
        rules = [r for r in results if r.threshold.severity is Severity.BLOCK]
        gate = [r.threshold.metric for r in rules if r.method == policy.gate_method]
        claims = ["tell classes apart"] if "agreement_median" in gate else []
        claims += ["matter to the model"] if any(metric.endswith("_vs_random") for metric in gate) else []
        shown = f"its {method_title(policy.gate_method)} maps {' and '.join(claims)} " if claims else ""
        return f"{model} passes: {shown}({len(rules)} of {len(rules)} blocking rules hold)."
    verb = "fails" if status is Status.FAIL else "cannot be judged"
    causes = [a.message for a in alerts if a.severity is Severity.BLOCK and a.status is status]
    return f"{model} {verb}: {causes[0] if causes else 'the policy has no rule that applies.'}"
