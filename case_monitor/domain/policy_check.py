"""Whether a policy can be judged at all, and whether each of its rules can both pass and fail."""

import math
from collections.abc import Iterable, Sequence

from case_monitor.domain.diagnostics import DIAGNOSTICS
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.methods import METHODS
from case_monitor.domain.metric import Metric
from case_monitor.domain.metrics import metrics_under, named
from case_monitor.domain.policy import GATE_METHOD, Policy, Severity, Threshold
from case_monitor.domain.protocol import TOP_FRACTION, Protocol


def check_policy(policy: Policy, protocol: Protocol) -> None:
    """Refuse a policy that could never be judged, or with a rule that asks for nothing or for the impossible.

    Raises:
        ConfigError: names the field, what was expected and what came.
    """
    _expect_some("protocol.methods", protocol.methods, METHODS)
    if protocol.diagnostics:
        _expect_some("protocol.diagnostics", protocol.diagnostics, DIAGNOSTICS)
    _expect_some("policy.gate_method", [policy.gate_method], protocol.methods)
    if not any(t.severity is Severity.BLOCK for t in policy.thresholds):
        _refuse("policy.thresholds", "at least one rule of severity 'block' was expected", "none")
    for i, threshold in enumerate(policy.thresholds):
        _check_threshold(f"policy.thresholds[{i}]", threshold, policy, protocol)
    _check_that_none_is_repeated(policy)
    _check_counts(policy)


def asks_how_good(policy: Policy) -> bool:
    """Whether a blocking rule asks how good the model is by itself, and not only beside the baseline."""
    blocking = (named(rule.metric) for rule in policy.rules if rule.severity is Severity.BLOCK)
    return any(found is not None and found.metric.says_how_good for found in blocking)


def _check_threshold(field: str, threshold: Threshold, policy: Policy, protocol: Protocol) -> None:
    per_class = threshold.per_class
    known = {name: m for name, m in metrics_under(protocol).items() if (m.per_class if per_class else m.overall)}
    asked = named(threshold.metric)
    if asked and asked.metric.at_top and asked.metric.name not in known:  # a rule by default, which nobody wrote
        expected = f"{TOP_FRACTION:g} among them was expected, since {asked.metric.name} ({field}) is of the top pixels"
        _refuse("protocol.areas", expected, repr(list(protocol.areas)))
    _expect_some(f"{field}.metric", [threshold.metric], known)
    metric = known[threshold.metric]
    _check_method(f"{field}.method", threshold, metric, policy, protocol)
    if threshold.greater_is_better is not metric.greater_is_better:
        expected = f"{str(metric.greater_is_better).lower()} was expected with {metric.name}"
        _refuse(f"{field}.greater_is_better", expected, str(threshold.greater_is_better).lower())
    if not threshold.every_class and threshold.metric != "recall":  # of other figures a model makes n itself
        _refuse(f"{field}.every_class", "true was expected but for recall", "false")
    times = threshold.times_chance
    if times is not None and threshold.metric != "recall":
        _refuse(f"{field}.times_chance", "none was expected but for recall", f"{times:g}")
    if times is not None and threshold.limit is None:
        _refuse(f"{field}.limit", "a number was expected with times_chance", "none")
    if times is not None and not 1 <= times < math.inf:  # below, guessing passes
        _refuse(f"{field}.times_chance", "a number of 1 or more was expected", f"{times:g}")
    if threshold.limit is not None and not metric.low < threshold.limit < metric.high:
        expected = f"a number above {metric.low:g} and below {metric.high:g}, the range of {metric.name}, was expected"
        _refuse(f"{field}.limit", expected, repr(threshold.limit))
    if threshold.allowed_regression is not None:
        comparable = [n for n, m in known.items() if (m.compared_per_class if per_class else m.compared)]
        _expect_some(f"{field}.metric, with allowed_regression", [metric.name], comparable)
        if not threshold.allowed_regression < metric.width:
            between = f"{metric.name}, from {metric.low:g} to {metric.high:g},"
            expected = f"less than {metric.width:g} was expected, since {between} cannot get worse by more"
            _refuse(f"{field}.allowed_regression", expected, repr(threshold.allowed_regression))


def _check_method(field: str, threshold: Threshold, metric: Metric, policy: Policy, protocol: Protocol) -> None:
    if not metric.of_methods:
        if threshold.method is not None:
            _refuse(field, f"none was expected with {metric.name}", repr(threshold.method))
        return
    methods = {GATE_METHOD, *protocol.methods}
    if metric.against_case:
        methods -= {"case"} if policy.gate_method != "case" else {"case", GATE_METHOD}
    if metric.of_shown:
        methods = {GATE_METHOD, policy.gate_method}
    _expect_some(field, [threshold.method or ""], methods)


def _check_that_none_is_repeated(policy: Policy) -> None:
    """Two limits on one figure may differ in severity; else the laxer one says nothing and dilutes the others."""
    seen = set()
    for rule in policy.rules:
        asked = rule.metric, policy.method_of(rule), rule.per_class, rule.severity
        if asked in seen:
            of = f" of {asked[1]}" if asked[1] else ""
            _refuse(
                "policy.thresholds", f"one limit of severity '{rule.severity}' on {rule.metric}{of} was expected", "two"
            )
        seen.add(asked)


def _check_counts(policy: Policy) -> None:
    """Fewer images than these decide nothing even where all agree: 2^(1 - n) is the p value of a sign test."""
    least = math.ceil(1 - math.log2(1 - policy.confidence_level))
    for field in ("min_samples", "min_class_samples"):
        came = getattr(policy, field)
        if came < least:
            why = f"since fewer images decide nothing at confidence_level {policy.confidence_level:g}"
            _refuse(f"policy.{field}", f"{least} or more was expected, {why}", repr(came))


def _expect_some(field: str, values: Sequence[str], allowed: Iterable[str]) -> None:
    allowed = sorted(allowed)
    wrong = [value for value in values if value not in allowed]
    if wrong or not values:
        came = ", ".join(map(repr, wrong)) or "nothing"
        _refuse(field, f"some of {', '.join(allowed)} were expected", came)


def _refuse(field: str, expected: str, came: str) -> None:
    msg = f"{field}: {expected}, {came} came"
    raise ConfigError(msg)
