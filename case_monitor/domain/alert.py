"""Something that a person should look at."""

from dataclasses import dataclass

from case_monitor.domain.policy import Severity
from case_monitor.domain.status import Status

UNASKED = "absolute_accuracy"
"""The rule of the alert that no rule asks how good a version is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a person should look at: what was observed, against what, what it means, what to do.

    `observed` and `limit` are NaN where the alert is not about a number.
    """

    rule: str
    method: str | None
    class_idx: int | None
    severity: Severity
    status: Status
    observed: float
    limit: float
    message: str
    advice: str
