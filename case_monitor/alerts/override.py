"""Against the verdict: a person has a version take the alias, says why and until when, and everybody is told.

The verdict stays what it is, and everything that is checked goes on being checked.
"""

from dataclasses import dataclass
from datetime import datetime

from case_monitor.alerts.standing import OVERRIDE
from case_monitor.domain.alert import Alert
from case_monitor.domain.arrays import UNDEFINED
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy, Severity
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """Which version took which alias against the verdict, who answers for it, why, and until when."""

    model_name: str
    version: int
    alias: str
    by: str
    reason: str
    until: datetime

    def __str__(self) -> str:
        return f"overridden by {self.by} until {self.until:%Y-%m-%d %H:%M} UTC: {self.reason}"


def require_answer(by: str, reason: str, until: datetime, now: datetime) -> None:
    """Somebody must answer for an override, and not for ever.

    Raises:
        ConfigError: nobody does, or without a reason, or the time is over already.
    """
    for option, text in (("--by", by), ("--reason", reason)):
        if not text.strip():
            msg = f"{option}: a text was expected, {text!r} came"
            raise ConfigError(msg)
    if until <= now:
        msg = f"--until: a time in the future was expected, {until:%Y-%m-%d %H:%M} UTC came"
        raise ConfigError(msg)


def override_alert(override: Override, now: datetime) -> Alert:
    """That a version is in production against the verdict; it blocks as soon as nobody answers for it any more."""
    what = f"{override.model_name}/{override.version}"
    is_over = now >= override.until
    if is_over:
        message = (
            f"The override of {what} by {override.by} ended on {override.until:%Y-%m-%d %H:%M} UTC; decide anew. Its "
            f"reason was: {override.reason}"
        )
    else:
        message = f"{what} holds alias {override.alias} against the verdict: {override}"
    return Alert(
        rule=OVERRIDE,
        method=None,
        class_idx=None,
        severity=Severity.BLOCK if is_over else Severity.WARN,
        status=Status.FAIL,
        observed=UNDEFINED,
        limit=UNDEFINED,
        message=message,
        advice=(
            "Have a version pass: case-monitor gate NAME/VERSION, which may be one that passed before. To go on with "
            "this one, somebody must answer for it anew: case-monitor override."
        ),
    )


_POLICY, _NOTHING_JUDGED = Policy(), Verdict(status=Status.PASS, sentence="", results=())


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasMoved:
    """What a decision about the alias means for alerts: it is about nothing but an override, made or ended."""

    model: ModelVersion
    alerts: tuple[Alert, ...] = ()
    baseline: ModelVersion | None = None
    class_names: tuple[str, ...] = ()
    policy: Policy = _POLICY
    summaries: tuple[MetricSummary, ...] = ()
    verdict: Verdict = _NOTHING_JUDGED
    looked_at: frozenset[str] = frozenset({OVERRIDE})
