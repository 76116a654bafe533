"""The audit log: what was done with the alias."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Decision(StrEnum):
    """What the gate did with the alias."""

    PROMOTED = "promoted"
    WITHHELD = "withheld"
    KEPT = "kept"
    OVERRIDDEN = "overridden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One entry of the audit log: which alias, from which version to which, on whose evidence.

    `decided_by` and `valid_until` are of an override, which a person answers for.
    """

    model_name: str
    alias: str
    version: int
    previous_version: int | None
    decision: Decision
    evaluation_id: int
    reason: str
    decided_by: str | None = None
    valid_until: datetime | None = None
