"""The life of an alert: it opens, goes on, gets worse and resolves. Pure: what is open and a finding in, steps out.

Several limits on one figure (warn below 0.6, block below 0.4) are one alert, as bad as the worst of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from math import isfinite
from typing import Protocol

from case_monitor.alerts.standing import GOOD_NEWS
from case_monitor.domain.alert import UNASKED, Alert
from case_monitor.domain.always_judged import BROKEN
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy, Severity
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult, Verdict

_SEVERITIES = (Severity.WARN, Severity.BLOCK)
_STATUSES = (Status.PASS, Status.INSUFFICIENT, Status.FAIL)


class Scope(StrEnum):
    """Whose alert it is: that of the version that holds the alias, or that of the candidates for it.

    They are apart, so that the alerts of a failing candidate do not come and go with checks of the healthy champion.
    """

    PRODUCTION = "production"
    CANDIDATE = "candidate"


class Judged(Protocol):
    """What alerts are about: an `Evaluation`, or a night that looked at a stored one again."""

    @property
    def model(self) -> ModelVersion: ...
    @property
    def baseline(self) -> ModelVersion | None: ...
    @property
    def class_names(self) -> tuple[str, ...]: ...
    @property
    def policy(self) -> Policy: ...
    @property
    def summaries(self) -> tuple[MetricSummary, ...]: ...
    @property
    def verdict(self) -> Verdict: ...
    @property
    def alerts(self) -> tuple[Alert, ...]: ...
    @property
    def looked_at(self) -> frozenset[str]:
        """The standing alerts (`standing_alerts`) that would be among `alerts` if there were reason for them."""
        ...


class NoticeKind(StrEnum):
    """What people are told about an alert. `still_open` reminds of it when its mute ends."""

    OPENED = "opened"
    WORSENED = "worsened"
    STILL_OPEN = "still_open"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationRun:
    """One run of an evaluation: the same run stored twice is one observation, another run is another one.

    `started_at` puts runs in order, because a long one may end after one that began later. `flow_run_id` is that of
    Prefect; None: it is no flow run, and only `id` tells it from others.
    """

    id: str
    started_at: datetime
    scope: Scope
    flow_run_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertIdentity:
    """What an alert of a model is about. `method` is '' and `class_idx` None where there is none."""

    rule: str
    method: str
    class_idx: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Mute:
    """No notice until then, why, since when and by whom; mutes of long ago do not tell the latter two."""

    until: datetime
    reason: str
    at: datetime | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAlert:
    """An alert that is not resolved, as the evaluations before left it."""

    id: int
    identity: AlertIdentity
    class_name: str | None
    message: str
    opened_at: datetime
    observations: int
    worst_severity: Severity
    worst_status: Status
    acknowledged: bool
    mute: Mute | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What one evaluation does to one alert.

    Attributes:
        identity: of the alert.
        before: the open alert; None: it opens.
        alert: what was observed; None: it resolves.
        notice: what people are told; None: nothing.
        reason: why it resolves.
        mute: what keeps it quiet from here on.
    """

    identity: AlertIdentity
    before: OpenAlert | None
    alert: Alert | None
    notice: NoticeKind | None
    reason: str | None = None
    mute: Mute | None = None


def next_steps(
    open_alerts: Sequence[OpenAlert],
    judged: Judged,
    now: datetime,
    mutes: Mapping[AlertIdentity, Mute],
    scope: Scope,
) -> list[Step]:
    """What a finding does to the alerts of its model and scope; an alert that it says nothing about has no step.

    Args:
        open_alerts: all that are open in this scope, one per identity.
        judged: the new evidence.
        now: when it was found.
        mutes: of resolved alerts; one that has not ended yet also keeps the next alert on the same thing quiet.
        scope: in production, where nobody waits for a decision, doubt alone opens no alert.
    """
    before = {alert.identity: alert for alert in open_alerts}
    observed = _worst_alerts(judged.alerts)
    doubts = _in_doubt(judged) if scope is Scope.PRODUCTION else set()
    steps = []
    for identity, alert in observed.items():
        if identity in before:
            steps.append(_going_on(before[identity], alert, now))
        elif identity not in doubts or alert.status is Status.FAIL:
            steps.append(_opening(identity, alert, now, mutes))
    for identity, known in before.items():
        reason = None if identity in observed else _reason_to_resolve(identity, judged)
        if reason:
            notice = None if _muted(known.mute, now) else NoticeKind.RESOLVED
            steps.append(
                Step(identity=identity, before=known, alert=None, notice=notice, reason=reason, mute=known.mute)
            )
    return steps


def identity_of(found: Alert | ThresholdResult) -> AlertIdentity:
    """What an alert or a result is about."""
    rule = found.rule if isinstance(found, Alert) else found.threshold.metric
    return AlertIdentity(rule=rule, method=found.method or "", class_idx=found.class_idx)


def _in_doubt(judged: Judged) -> set[AlertIdentity]:
    """What was measured without a clear answer; a figure that is missing has no p value and is not in doubt."""
    results = judged.verdict.results
    return {identity_of(r) for r in results if r.status is Status.INSUFFICIENT and isfinite(r.p_value)}


def _worst_alerts(alerts: Sequence[Alert]) -> dict[AlertIdentity, Alert]:
    found: dict[AlertIdentity, Alert] = {}
    for alert in alerts:
        known = found.setdefault(identity_of(alert), alert)
        if _rank(alert.severity, alert.status) > _rank(known.severity, known.status):
            found[identity_of(alert)] = alert
    return found


def _rank(severity: Severity, status: Status) -> tuple[int, int]:
    return _SEVERITIES.index(severity), _STATUSES.index(status)


def worst(alert: Alert, severity: Severity, status: Status) -> tuple[Severity, Status]:
    """The worst severity and the worst status of those observed now and the worst before."""
    return max(alert.severity, severity, key=_SEVERITIES.index), max(alert.status, status, key=_STATUSES.index)


def _opening(identity: AlertIdentity, alert: Alert, now: datetime, mutes: Mapping[AlertIdentity, Mute]) -> Step:
    mute = mutes.get(identity)
    mute = mute if _muted(mute, now) else None
    notice = None if mute else NoticeKind.OPENED
    return Step(identity=identity, before=None, alert=alert, notice=notice, mute=mute)


def _going_on(before: OpenAlert, alert: Alert, now: datetime) -> Step:
    """Worse is only what is worse than ever: a status that comes and goes is told once."""
    if _muted(before.mute, now):
        return Step(identity=before.identity, before=before, alert=alert, notice=None, mute=before.mute)
    severity, status = worst(alert, before.worst_severity, before.worst_status)
    graver = severity is not before.worst_severity
    # Whoever acknowledged a warning knows about it, but not that it came to block.
    told = graver or (status is not before.worst_status and not before.acknowledged)
    notice = NoticeKind.WORSENED if told else None
    if before.mute:
        notice = NoticeKind.STILL_OPEN
    return Step(identity=before.identity, before=before, alert=alert, notice=notice)


def _muted(mute: Mute | None, now: datetime) -> bool:
    return mute is not None and now < mute.until


def _reason_to_resolve(identity: AlertIdentity, judged: Judged) -> str | None:
    """Why an alert that was not observed again is over; None if nothing is known, which is not good news."""
    results = [r for r in judged.verdict.results if identity_of(r) == identity]
    if results:
        return results[0].reason if all(r.status is Status.PASS for r in results) else None
    if identity.rule in BROKEN:  # judged only where it is broken
        healthy = any(s.metric == identity.rule and s.value >= 1 for s in judged.summaries)
        return BROKEN[identity.rule].healthy if healthy else None
    if identity.rule == UNASKED:  # whoever judges says so, or there is no reason to
        return "a blocking rule asks how good a version is, or there is one in production to compare it with"
    if identity.rule in GOOD_NEWS:
        return GOOD_NEWS[identity.rule] if identity.rule in judged.looked_at else None
    if not _in_policy(identity, judged):
        return "the policy no longer has this rule"
    others = {(r.threshold.metric, r.method or "") for r in judged.verdict.results if r.class_idx is not None}
    if identity.class_idx is not None and (identity.rule, identity.method) in others:
        return "the model no longer has this class"
    return None


def _in_policy(identity: AlertIdentity, judged: Judged) -> bool:
    policy = judged.policy
    rules = {(rule.metric, policy.method_of(rule), rule.per_class) for rule in policy.rules}
    return (identity.rule, identity.method, identity.class_idx is not None) in rules
