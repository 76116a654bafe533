"""Rules and figures in, an outcome for each rule out, with the multiplicity of the questions accounted for."""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy.stats import norm

from case_monitor.domain.arrays import UNDEFINED
from case_monitor.domain.metric_kinds import is_as_seen, is_of_classes, is_of_explained
from case_monitor.domain.policy import Policy, Rule, Severity
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult
from case_monitor.judging.statistics.adjustment import benjamini_hochberg, holm
from case_monitor.judging.statistics.breach import p_value_of_breach

_ROUNDING = 1e-9  # an interval that ends at its limit has p = 1 - confidence_level, up to this


def rule_outcomes(
    rules: Sequence[Rule],
    summaries: Sequence[MetricSummary],
    policy: Policy,
    num_classes: int,
    *,
    in_production: bool,
) -> list[ThresholdResult]:
    """Measure every rule, adjust the p values of each family, decide."""
    level = _level(policy, rules, in_production=in_production)
    asked = (rule.among(num_classes) for rule in rules)
    results = [r for rule in asked for r in _measure(rule, summaries, policy, num_classes)]
    return [_decide(r, level) for r in _with_adjusted_p(results)]


def _level(policy: Policy, rules: Sequence[Rule], *, in_production: bool) -> float:
    """What adjusted p a breach needs. In production the run length is shared by all families of rules.

    Whatever the dependence between rules, families and nights, the number of false alarms expected in a run of that
    length is then at most one (Boole's inequality).
    """
    if not in_production:
        return policy.false_block_budget
    return 1 / policy.in_control_run_length / max(len(set(map(_family, rules))), 1)


def _family(rule: Rule) -> Rule | None:
    """All blocking rules, which together withhold a version; a warning rule's classes by themselves."""
    return None if rule.severity is Severity.BLOCK else rule


def _measure(
    rule: Rule, summaries: Sequence[MetricSummary], policy: Policy, num_classes: int
) -> Iterator[ThresholdResult]:
    """The figures that a rule is about, not yet decided."""
    method = policy.method_of(rule)
    found = {s.class_idx: s for s in summaries if (s.metric, s.method) == (rule.metric, method)}
    least = policy.min_class_samples if rule.per_class else policy.min_samples
    excused = _too_small(found.values(), least) if not rule.every_class else frozenset()
    classes: Sequence[int | None] = sorted(range(num_classes), key=lambda u: u in excused) if rule.per_class else [None]
    for class_idx in classes:  # those that are excused stand together, at the end
        # A class without a correctly classified image has no figure; that must not let the rule pass.
        missing = MetricSummary(metric=rule.metric, method=method, class_idx=class_idx, value=UNDEFINED, n=0)
        row = found.get(class_idx, missing)
        problem, n_needed = _problem(row, least, policy.max_undefined)
        p_value = UNDEFINED
        if not problem:
            interval = row.ci_low, row.ci_high
            level, greater = policy.confidence_level, rule.greater_is_better
            p_value = p_value_of_breach(row.value, interval, rule.limit, level, row.n, greater_is_better=greater)
        yield ThresholdResult(
            threshold=replace(rule, severity=Severity.WARN) if class_idx in excused else rule,
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


def _too_small(rows: Collection[MetricSummary], least: int) -> frozenset[int | None]:
    """Classes of too few images to be judged; none where there is no other class."""
    small = frozenset(row.class_idx for row in rows if row.n + row.n_undefined < least)
    return small if len(small) < len(rows) else frozenset()


def _problem(row: MetricSummary, least: int, max_undefined: float) -> tuple[str, int | None]:
    """Why a figure cannot be judged at all, with the number of images that is needed; "" if it can."""
    all_of_them = row.n + row.n_undefined
    undefined = f"{row.n_undefined} undefined: {row.undefined_because}" if row.n_undefined else ""
    if row.n_undefined > max_undefined * all_of_them:
        what = "classes" if is_of_classes(row.metric) else "images"
        share = f"{row.n_undefined} of {all_of_them} {what} ({row.n_undefined / all_of_them:.1%}) have no score"
        return f"{share}, {row.undefined_because}; at most {100 * max_undefined:g}% may have none", None
    if row.n < (1 if is_as_seen(row.metric) else least) and not is_of_classes(row.metric):
        more = f" ({undefined})" if undefined else ""
        return f"{row.n} images with a defined score{more}, at least {least} are needed", least
    if not all(map(math.isfinite, (row.value, row.ci_low, row.ci_high))):
        why = undefined or row.undefined_because
        return f"undefined (n = {row.n}{', ' if why else ''}{why or ''})", None
    return "", None


def _with_adjusted_p(results: Sequence[ThresholdResult]) -> list[ThresholdResult]:
    """Holm's over the family of the blocking rules, Benjamini and Hochberg's over that of a warning rule."""
    families: dict[Rule | None, list[int]] = {}
    for i, r in enumerate(results):
        families.setdefault(_family(r.threshold), []).append(i)
    adjusted = np.full(len(results), UNDEFINED)
    for rule, members in families.items():
        p_values = np.array([results[i].p_value for i in members])
        adjusted[members] = holm(p_values) if rule is None else benjamini_hochberg(p_values)
    return [replace(r, p_adjusted=float(p)) for r, p in zip(results, adjusted, strict=True)]


def _decide(result: ThresholdResult, level: float) -> ThresholdResult:
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
    if bad and result.p_adjusted <= level + _ROUNDING:
        return replace(result, status=Status.FAIL, reason=f"{observed} is beyond the limit {limit:g} ({p})")
    unsure = f"is beyond the limit {limit:g}, but not surely ({p}; at most {level:.2g} is asked for)"
    where = unsure if bad else f"lies across the limit {limit:g}"
    n_needed = _needed(result, level, bad=bad)
    scored = " with a defined score" if is_of_explained(rule.metric) else ""
    enough = f"about {n_needed} images{scored} would decide" if n_needed else "no number of images is likely to decide"
    return replace(result, n_needed=n_needed, reason=f"{observed} {where}; {enough}")


def _needed(result: ThresholdResult, level: float, *, bad: bool) -> int | None:
    """How many images would decide; None where no number is likely to."""
    if is_of_classes(result.threshold.metric) or is_as_seen(result.threshold.metric):
        return None
    return _enough_for_level(result, level) if bad and result.p_value < 1 else _enough(result)


def _enough(result: ThresholdResult) -> int | None:
    """How many images would decide: an interval shrinks with the square root of n."""
    distance = abs(result.observed - result.threshold.limit)
    if distance < 1e-6:
        return None
    reach = max(result.observed - result.ci_low, result.ci_high - result.observed)
    return math.ceil(result.n * max(1.0, (reach / distance) ** 2) * 1.1)


def _enough_for_level(result: ThresholdResult, level: float) -> int | None:
    """How many images would take the breach below the level: z grows with the square root of n."""
    factor = result.p_adjusted / result.p_value
    needed, reached = (float(norm.isf(p / 2)) for p in (level / factor, result.p_value))
    if math.isinf(needed):  # a level too small for a normal distribution's tail
        return None
    return math.ceil(result.n * max(1.0, (needed / reached) ** 2) * 1.1)
