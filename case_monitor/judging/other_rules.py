"""What the rules by another word would have said of the same figures; nothing of it is stored."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import RULES_BY_WORD, Policy, Severity
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.verdict import judge


def other_rules_of(evaluation: Evaluation) -> str:
    """One line for each word whose rules are not the policy's own."""
    return other_rules(
        evaluation.model,
        evaluation.summaries,
        evaluation.policy,
        baseline=evaluation.baseline,
        class_names=evaluation.split.class_names,
        in_production=evaluation.in_production,
    )


def other_rules(
    model: ModelVersion,
    summaries: Sequence[MetricSummary],
    policy: Policy,
    *,
    baseline: ModelVersion | None,
    class_names: Sequence[str],
    in_production: bool,
) -> str:
    """The same of figures by themselves."""
    lines, found = [], {row.metric for row in summaries}
    for word, rules in RULES_BY_WORD.items():
        if rules != policy.thresholds:
            other = replace(policy, thresholds=rules)
            verdict, _ = judge(
                model, summaries, other, baseline=baseline, class_names=class_names, in_production=in_production
            )
            deciding = [
                r.threshold.metric
                for r in verdict.results
                if r.threshold.severity is Severity.BLOCK and r.status is verdict.status is not Status.PASS
            ]
            said = f"{verdict.status}{_why(deciding, found)}"
            lines.append(f"The rules `{word}` would have said of these figures: {said}.")
    return " ".join(lines)


def _why(deciding: Sequence[str], found: Collection[str]) -> str:
    """The rules that decide; first those whose figure is there."""
    names = dict.fromkeys(deciding)
    measured = [name for name in names if name in found]
    missing = [name for name in names if name not in found]
    causes = [*measured, *([f"not measured: {', '.join(missing)}"] if missing else [])]
    return f" ({', '.join(causes)})" if causes else ""
