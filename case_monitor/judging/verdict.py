"""The gate: figures and a policy in, a verdict and alerts in plain words out. Fails closed on NaN and on too little."""

import math
from collections.abc import Iterator, Sequence

from case_monitor.domain.alert import Alert
from case_monitor.domain.always_judged import BROKEN
from case_monitor.domain.methods import method_title
from case_monitor.domain.metric_kinds import needs_baseline
from case_monitor.domain.metrics import METRICS, named
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy, Rule, Severity, vs_baseline
from case_monitor.domain.policy_check import asks_how_good
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult, Verdict
from case_monitor.judging.further import further_known, of_this_pair
from case_monitor.judging.image_counts import image_counts
from case_monitor.judging.rules import rule_outcomes
from case_monitor.judging.unasked import unasked_alert
from case_monitor.judging.wording import alert_text

_NAMED = 5
"""Classes that a note names."""


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
    summaries = of_this_pair(summaries, policy.gate_method)
    rules = [rule for rule in policy.rules if baseline or not needs_baseline(rule.metric)]
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
    if baseline is None and not in_production and not asks_how_good(policy):
        alerts += (unasked_alert(model),)
    sentence = _sentence(model, status, policy, results, alerts)
    return Verdict(
        status=status, sentence=sentence, results=tuple(results), notes=tuple(_not_judged(results, class_names))
    ), alerts


def _not_judged(results: Sequence[ThresholdResult], class_names: Sequence[str]) -> Iterator[str]:
    """Classes that a rule leaves out for want of images: whether the model knows them nobody has asked."""
    left_out = [
        r.class_idx
        for r in results
        if not r.threshold.every_class and r.threshold.severity is Severity.WARN and r.status is Status.INSUFFICIENT
    ]
    if left_out:
        names = [class_names[idx] for idx in left_out[:_NAMED] if idx is not None]
        more = f" and {len(left_out) - _NAMED} more" if len(left_out) > _NAMED else ""
        yield f"Too few images to judge whether these classes are known at all: {', '.join(names)}{more}."


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
    further, counts = further_known(result, summaries), image_counts(summaries)
    message, advice = alert_text(result, class_name, further, baseline, counts)
    change = _change(result, summaries)
    if baseline and change is not None:
        figure = result.threshold.metric.replace("_", " ")
        message += f" Against {baseline}, in production, {figure} changed by {change:+.3f} on the same images."
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


def _sentence(
    model: ModelVersion,
    status: Status,
    policy: Policy,
    results: Sequence[ThresholdResult],
    alerts: Sequence[Alert],
) -> str:
    if status is Status.PASS:
        rules = [r for r in results if r.threshold.severity is Severity.BLOCK]
        found = [named(r.threshold.metric) for r in rules if r.method == policy.gate_method]
        judged = {known.metric.name for known in found if known is not None}
        claims = dict.fromkeys(metric.claim for metric in METRICS.values() if metric.claim and metric.name in judged)
        shown = f"its {method_title(policy.gate_method)} maps {_listed(list(claims))} " if claims else ""
        return f"{model} passes: {shown}({len(rules)} of {len(rules)} blocking rules hold)."
    verb = "fails" if status is Status.FAIL else "cannot be judged"
    causes = [a.message for a in alerts if a.severity is Severity.BLOCK and a.status is status]
    return f"{model} {verb}: {causes[0] if causes else 'the policy has no rule that applies.'}"


def _listed(claims: Sequence[str]) -> str:
    """Joined as in a sentence."""
    *most, last = claims
    return f"{', '.join(most)} and {last}" if most else last
