"""The gate: figures and a policy in, a verdict and alerts in plain words out. Fails closed on NaN and on too little."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from case_monitor.core.errors import ConfigError
from case_monitor.core.policy import GATE_METHOD, Policy, Rule, Severity, Threshold, vs_baseline
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import (
    UNDEFINED,
    Alert,
    MetricSummary,
    ModelVersion,
    Status,
    ThresholdResult,
    Verdict,
)
from case_monitor.core.saliency import METHODS
from case_monitor.core.statistics import benjamini_hochberg, holm, p_value_of_breach
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

_ROUNDING = 1e-9  # an interval that ends at its limit has p = 1 - confidence_level, up to this


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
) -> tuple[Verdict, tuple[Alert, ...]]:
    """Apply every rule. One passes only when the whole confidence interval clears its limit.

    A version passes only if all blocking rules pass, so that the chance of passing one that should not is that of a
    single interval, whatever the number of rules. A rule fails when its whole interval is beyond the limit and the
    breach survives Holm's adjustment for all blocking rules. In between, as with NaN or too few images, it is
    `insufficient`. The verdict is the worst of the blocking rules. Rules against a baseline are left out when there
    is none.
    """
    rules = [rule for rule in policy.rules if baseline or not _needs_baseline(rule)]
    results = [r for rule in rules for r in _measure(rule, summaries, policy, len(class_names))]
    results = [_decide(r, policy) for r in _with_adjusted_p(results)]
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


def _measure(
    rule: Rule, summaries: Sequence[MetricSummary], policy: Policy, num_classes: int
) -> Iterator[ThresholdResult]:
    """The figures that a rule is about, not yet decided."""
    method = policy.method_of(rule)
    found = {s.class_idx: s for s in summaries if (s.metric, s.method) == (rule.metric, method)}
    for class_idx in range(num_classes) if rule.per_class else [None]:
        # A class without a correctly classified image has no figure; that must not let the rule pass.
        missing = MetricSummary(metric=rule.metric, method=method, class_idx=class_idx, value=UNDEFINED, n=0)
        row = found.get(class_idx, missing)
        least = policy.min_class_samples if rule.per_class else policy.min_samples
        problem, n_needed = _problem(row, least)
        p_value = UNDEFINED
        if not problem:
            interval = row.ci_low, row.ci_high
            level, greater = policy.confidence_level, rule.greater_is_better
            p_value = p_value_of_breach(row.value, interval, rule.limit, level, row.n, greater_is_better=greater)
        yield ThresholdResult(
            threshold=rule,
            method=method or None,
            class_idx=row.class_idx,
            status=Status.INSUFFICIENT,
            observed=row.value,
            ci_low=row.ci_low,
            ci_high=row.ci_high,
            n=row.n,
            n_needed=n_needed,
            p_value=p_value,
            reason=problem,
        )


def _problem(row: MetricSummary, least: int) -> tuple[str, int | None]:
    """Why a figure cannot be judged at all, with the number of images that is needed; "" if it can."""
    undefined = f"{row.n_undefined} undefined: {row.undefined_because}" if row.n_undefined else ""
    # Jaccard indices are of classes, of which there are no more to be had.
    if row.n < least and row.metric != "contrast_jaccard":
        more = f" ({undefined})" if undefined else ""
        return f"{row.n} images with a defined score{more}, at least {least} are needed", least
    if not all(map(math.isfinite, (row.value, row.ci_low, row.ci_high))):
        return f"undefined (n = {row.n}{', ' if undefined else ''}{undefined})", None
    return "", None


def _with_adjusted_p(results: Sequence[ThresholdResult]) -> list[ThresholdResult]:
    """Holm over all blocking rules, which together withhold a version; a warning rule's classes by themselves."""
    families: dict[Rule | None, list[int]] = {}
    for i, r in enumerate(results):
        families.setdefault(None if r.threshold.severity is Severity.BLOCK else r.threshold, []).append(i)
    adjusted = np.full(len(results), UNDEFINED)
    for rule, members in families.items():
        p_values = np.array([results[i].p_value for i in members])
        adjusted[members] = holm(p_values) if rule is None else benjamini_hochberg(p_values)
    return [replace(r, p_adjusted=float(p)) for r, p in zip(results, adjusted, strict=True)]


def _decide(result: ThresholdResult, policy: Policy) -> ThresholdResult:
    if result.reason:
        return result
    rule, limit = result.threshold, result.threshold.limit
    observed = f"{result.observed:.3f} [{result.ci_low:.3f}, {result.ci_high:.3f}]"
    good, bad = result.ci_low > limit, result.ci_high <= limit
    if not rule.greater_is_better:
        good, bad = result.ci_high < limit, result.ci_low >= limit
    if good:
        return replace(result, status=Status.PASS, reason=f"{observed} clears the limit {limit:g}")
    p = "adjusted p < 0.001" if result.p_adjusted < 0.001 else f"adjusted p = {result.p_adjusted:.2g}"
    if bad and result.p_adjusted <= policy.false_block_budget + _ROUNDING:
        return replace(result, status=Status.FAIL, reason=f"{observed} is beyond the limit {limit:g} ({p})")
    where = (
        f"is beyond the limit {limit:g}, but not surely with so many rules ({p})"
        if bad
        else (f"lies across the limit {limit:g}")
    )
    n_needed = _enough(result)
    enough = f"about {n_needed} images would decide" if n_needed else "no number of images is likely to decide"
    return replace(result, n_needed=n_needed, reason=f"{observed} {where}; {enough}")


def _enough(result: ThresholdResult) -> int | None:
    """How many images would decide: an interval shrinks with the square root of n."""
    distance = abs(result.observed - result.threshold.limit)
    if distance < 1e-6:
        return None
    reach = max(result.observed - result.ci_low, result.ci_high - result.observed)
    return math.ceil(result.n * max(1.0, (reach / distance) ** 2) * 1.1)


def _broken_logits(summaries: Sequence[MetricSummary]) -> list[ThresholdResult]:
    """The one rule that no policy can leave out: a model whose logits are NaN or infinite never passes."""
    row = next((s for s in summaries if s.metric == "finite_logits"), None)
    if row is None or row.value >= 1:
        return []
    rule = Rule(metric=row.metric, limit=1.0, greater_is_better=True)
    broken = round(row.n * (1 - row.value)) if math.isfinite(row.value) else 0
    reason = f"the logits of {broken} of {row.n} images are NaN or infinite"
    result = ThresholdResult(
        threshold=rule,
        method=None,
        class_idx=None,
        status=Status.INSUFFICIENT,
        observed=row.value,
        ci_low=row.ci_low,
        ci_high=row.ci_high,
        n=row.n,
        reason=reason,
    )
    return [result]


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
