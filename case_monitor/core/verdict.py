"""The gate: figures and a policy in, a verdict and alerts in plain words out. Fails closed on NaN and on too little."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from case_monitor.core.errors import ConfigError
from case_monitor.core.policy import GATE_METHOD, Policy, Rule, Severity, Threshold, vs_baseline
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import (
    Alert,
    MetricSummary,
    ModelVersion,
    Status,
    ThresholdResult,
    Verdict,
)
from case_monitor.core.rule_outcomes import rule_outcomes
from case_monitor.core.summary import (
    BASELINE_ONLY,
    INSENSITIVE,
    MODEL_METRICS,
    metrics_against_case,
    metrics_of_methods,
    metrics_per_class,
    metrics_with_regression,
)
from case_monitor.core.wording import alert_text, method_title


class Broken(NamedTuple):
    """What is said of a model that gives NaN, and when it no longer does."""

    broken: str
    healthy: str


BROKEN = {
    "finite_logits": Broken("the logits of {broken} of {n} images are NaN or infinite", "all logits are finite"),
    "finite_passes": Broken(
        "it gives NaN or infinity in passes over {broken} of the {n} explained images: in gradients, in maps, or in "
        "logits with some pixels taken away",
        "every pass over the explained images gives finite numbers",
    ),
}
"""What no policy can leave out."""


def check_policy(policy: Policy, protocol: Protocol) -> None:
    """Refuse a policy that could never be judged: unknown metrics or methods, or a gate method not evaluated.

    Raises:
        ConfigError: names the field, what was expected and what came.
    """
    from case_monitor.core.saliency import METHODS  # with torch, which judging stored figures does without

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
    if threshold.allowed_regression is not None:
        comparable = metrics_with_regression(protocol) & ({"recall"} if threshold.per_class else known)
        _expect(f"{field}.metric, with allowed_regression", [threshold.metric], comparable)
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
    baseline: ModelVersion | None,
    class_names: Sequence[str],
    in_production: bool = False,
) -> tuple[Verdict, tuple[Alert, ...]]:
    """Apply every rule. One passes only when the whole confidence interval clears its limit.

    A version passes only if all blocking rules pass, so that the chance of passing one that should not is that of a
    single interval, whatever the number of rules. A rule fails when its whole interval is beyond the limit and the
    breach survives Holm's adjustment for all blocking rules. In between, as with NaN or too few images, it is
    `insufficient`. The verdict is the worst of the blocking rules. Rules against a baseline are left out when there
    is none. A version in production is judged time after time, and fails at the stricter level of the run length.
    """
    rules = [rule for rule in policy.rules if baseline or not _needs_baseline(rule)]
    results = rule_outcomes(rules, summaries, policy, len(class_names), in_production=in_production)
    results += _broken_logits(summaries)
    blocking = {r.status for r in results if r.threshold.severity is Severity.BLOCK}
    if Status.FAIL in blocking:
        status = Status.FAIL
    elif Status.INSUFFICIENT in blocking or not blocking:
        status = Status.INSUFFICIENT
    else:
        status = Status.PASS
    alerts = tuple(_alert(r, summaries, class_names, baseline) for r in results if _is_alarming(r))
    sentence = _sentence(model, status, policy, results, alerts)
    return Verdict(status=status, sentence=sentence, results=tuple(results)), alerts


def _needs_baseline(rule: Rule) -> bool:
    return rule.metric in BASELINE_ONLY or rule.metric.endswith(vs_baseline(""))


def _broken_logits(summaries: Sequence[MetricSummary]) -> list[ThresholdResult]:
    """The one rule that no policy can leave out: a model that gives NaN or infinity never passes.

    Neither does one that gives it in some pass over an image: which images a figure is then of, the model would choose.
    """
    rows = (next((s for s in summaries if s.metric == metric), None) for metric in BROKEN)
    return [_broken(row) for row in rows if row is not None and row.n and not row.value >= 1]


def _broken(row: MetricSummary) -> ThresholdResult:
    broken = round(row.n * (1 - row.value)) if math.isfinite(row.value) else 0
    return ThresholdResult(
        threshold=Rule(metric=row.metric, limit=1.0, greater_is_better=True),
        method=None,
        class_idx=None,
        status=Status.INSUFFICIENT,
        observed=row.value,
        ci_low=row.ci_low,
        ci_high=row.ci_high,
        n=row.n,
        reason=BROKEN[row.metric].broken.format(broken=broken, n=row.n),
    )


def _is_alarming(result: ThresholdResult) -> bool:
    if result.threshold.severity is Severity.BLOCK:
        return result.status is not Status.PASS
    return result.status is Status.FAIL


def _alert(
    result: ThresholdResult,
    summaries: Sequence[MetricSummary],
    class_names: Sequence[str],
    baseline: ModelVersion | None,
) -> Alert:
    class_name = None if result.class_idx is None else class_names[result.class_idx]
    message, advice = alert_text(result, class_name, _sensitive_methods(summaries), baseline)
    change = _change(result, summaries)
    if baseline and change is not None:
        message += f" Against {baseline}, in production, it changed by {change:+.3f} on the same images."
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


def _change(result: ThresholdResult, summaries: Sequence[MetricSummary]) -> float | None:
    """By how much the figure differs from the baseline's, where that was measured."""
    key = vs_baseline(result.threshold.metric), result.method or "", result.class_idx
    values = (s.value for s in summaries if (s.metric, s.method, s.class_idx) == key)
    return next((value for value in values if math.isfinite(value)), None)


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
