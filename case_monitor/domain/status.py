"""How a rule, and a whole verdict, comes out."""

from enum import StrEnum


class Status(StrEnum):
    """Outcome of a threshold and of a whole verdict."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    INSUFFICIENT = "insufficient"
