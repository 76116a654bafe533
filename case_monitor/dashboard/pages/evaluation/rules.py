"""The policy's rules and what came of them: one by one, and those per class as a whole."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from case_monitor.dashboard.parts.metric_words import rule_words
from case_monitor.domain.arrays import defined
from case_monitor.domain.policy import Severity
from case_monitor.domain.status import Status
from case_monitor.domain.verdict import ThresholdResult

SHOWN_CLASSES = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """A rule in words, with the figure that it was applied to and what came of it."""

    rule: str
    severity: Severity
    status: Status
    observed: float | None
    ci_low: float | None
    ci_high: float | None
    limit: float | None
    greater_is_better: bool
    n: int
    n_needed: int | None
    p_value: float | None
    p_adjusted: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassOutcome:
    """A class that does not keep a rule."""

    class_idx: int
    class_name: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRule:
    """A rule that every class is judged by: how many classes had which outcome; `failing` has the surest first."""

    rule: str
    severity: Severity
    counts: dict[Status, int]
    failing: tuple[ClassOutcome, ...]
    more_failing: int


def rule_outcomes(outcomes: Sequence[ThresholdResult], baseline: int | None) -> tuple[RuleOutcome, ...]:
    """The rules about all classes together, in the order of the policy."""
    return tuple(_outcome(o, baseline) for o in outcomes if o.class_idx is None)


def class_rules(
    outcomes: Sequence[ThresholdResult], class_names: Sequence[str], baseline: int | None
) -> tuple[ClassRule, ...]:
    """The rules that every class is judged by, in the order of the policy."""
    return tuple(_class_rules([o for o in outcomes if o.class_idx is not None], class_names, baseline))


def _words(outcome: ThresholdResult, baseline: int | None) -> str:
    return rule_words(
        outcome.threshold.metric,
        defined(outcome.threshold.limit),
        greater_is_better=outcome.threshold.greater_is_better,
        method=outcome.method,
        per_class=outcome.class_idx is not None,
        baseline=baseline,
    )


def _outcome(outcome: ThresholdResult, baseline: int | None) -> RuleOutcome:
    return RuleOutcome(
        rule=_words(outcome, baseline),
        severity=outcome.threshold.severity,
        status=outcome.status,
        observed=defined(outcome.observed),
        ci_low=defined(outcome.ci_low),
        ci_high=defined(outcome.ci_high),
        limit=defined(outcome.threshold.limit),
        greater_is_better=outcome.threshold.greater_is_better,
        n=outcome.n,
        n_needed=outcome.n_needed,
        p_value=defined(outcome.p_value),
        p_adjusted=defined(outcome.p_adjusted),
        reason=outcome.reason,
    )


def _class_rules(
    outcomes: Sequence[ThresholdResult], class_names: Sequence[str], baseline: int | None
) -> Iterator[ClassRule]:
    for _, group in groupby(outcomes, lambda o: (o.threshold, o.method)):
        of_rule = list(group)
        counts = Counter(o.status for o in of_rule)
        failing = sorted(
            (o for o in of_rule if o.status is Status.FAIL), key=lambda o: (defined(o.p_adjusted) or 0, o.class_idx)
        )
        yield ClassRule(
            rule=_words(of_rule[0], baseline),
            severity=of_rule[0].threshold.severity,
            counts={status: counts[status] for status in Status},
            failing=tuple(_class_outcome(o, class_names) for o in failing[:SHOWN_CLASSES]),
            more_failing=max(len(failing) - SHOWN_CLASSES, 0),
        )


def _class_outcome(outcome: ThresholdResult, class_names: Sequence[str]) -> ClassOutcome:
    idx = outcome.class_idx or 0
    return ClassOutcome(class_idx=idx, class_name=class_names[idx], reason=outcome.reason)
