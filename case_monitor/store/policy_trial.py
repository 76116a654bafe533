"""What another policy would have said about stored evaluations: their figures are judged again, nothing is measured."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from case_monitor.domain.policy import Policy, Severity
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Verdict
from case_monitor.judging.verdict import judge
from case_monitor.store import read


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A stored verdict beside the one that the policy would give; `status` None: the figures do not allow one."""

    evaluation_id: int
    version: str
    evaluated_at: datetime
    status_then: Status
    status: Status | None
    reason: str

    @property
    def changed(self) -> bool:
        """Whether the verdict would be another one."""
        return self.status is not None and self.status is not self.status_then


def try_on_stored(engine: Engine, model_name: str, policy: Policy, last: int) -> Iterator[Trial]:
    """Judge a model's last evaluations by a policy, the newest first.

    A rule about what was not measured then is insufficient, as it would be now. Intervals of another confidence level
    cannot be had from the stored ones: such evaluations are named, and not judged.
    """
    for stored in read.evaluations(engine, model_name)[:last]:
        level = stored.policy.get("confidence_level")
        if level != policy.confidence_level:
            status = None
            reason = f"stored intervals are at {level}, the policy asks for {policy.confidence_level}: evaluate again"
        else:
            summaries = read.load_summaries(engine, stored.id)
            verdict = _judge(stored, summaries, policy)
            status, reason = verdict.status, _deciding(verdict, {s.metric for s in summaries})
        yield Trial(
            evaluation_id=stored.id,
            version=f"{stored.model_name}/{stored.version}",
            evaluated_at=stored.updated_at,
            status_then=stored.verdict_status,
            status=status,
            reason=reason,
        )


def _judge(stored: read.StoredEvaluation, summaries: Sequence[MetricSummary], policy: Policy) -> Verdict:
    return judge(
        stored.model,
        summaries,
        policy,
        baseline=stored.baseline,
        class_names=stored.class_names,
        in_production=stored.in_production,
    )[0]


def _deciding(verdict: Verdict, measured: Collection[str]) -> str:
    """The blocking rules that are as bad as the verdict."""
    if verdict.status is Status.PASS:
        return "every blocking rule passes"
    deciding = [r for r in verdict.results if r.threshold.severity is Severity.BLOCK and r.status is verdict.status]
    causes = [f"{r.threshold.metric}: {r.reason}" for r in deciding if r.threshold.metric in measured]
    unmeasured = dict.fromkeys(r.threshold.metric for r in deciding if r.threshold.metric not in measured)
    if unmeasured:
        causes.append(f"{', '.join(unmeasured)}: not measured then; evaluate again")
    return "; ".join(causes) or "no blocking rule applies"
