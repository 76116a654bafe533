"""What the rules by another word would have said of the same figures; nothing of it is stored."""

from dataclasses import replace

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import RULES_BY_WORD, Severity
from case_monitor.domain.status import Status
from case_monitor.judging.verdict import judge


def other_rules_line(evaluation: Evaluation) -> str:
    """One line for each word whose rules are not the policy's own."""
    others = [word for word, rules in RULES_BY_WORD.items() if rules != evaluation.policy.thresholds]
    return " ".join(_line(evaluation, word) for word in others)


def _line(evaluation: Evaluation, word: str) -> str:
    verdict, _ = judge(
        evaluation.model,
        evaluation.summaries,
        replace(evaluation.policy, thresholds=RULES_BY_WORD[word]),
        baseline=evaluation.baseline,
        class_names=evaluation.split.class_names,
        in_production=evaluation.in_production,
    )
    blocking = [r for r in verdict.results if r.threshold.severity is Severity.BLOCK and r.status is verdict.status]
    causes = ", ".join(dict.fromkeys(r.threshold.metric for r in blocking))
    because = "" if verdict.status is Status.PASS else f" ({causes})"
    return f"The rules `{word}` would have said: {verdict.status}{because}."
