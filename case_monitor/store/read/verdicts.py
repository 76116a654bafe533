"""What was decided about an evaluated version, rule by rule."""

from typing import Any

from sqlalchemy import Connection, Engine, Select

from case_monitor.domain.policy import Rule, Severity
from case_monitor.domain.status import Status
from case_monitor.domain.verdict import ThresholdResult, Verdict
from case_monitor.store.connection import reading
from case_monitor.store.read.rows import parts_of, required, some_values_of, values_of
from case_monitor.store.tables import ThresholdResultRow

_OF_RULE = ("metric", "limit_value", "greater_is_better", "threshold_method", "per_class", "severity")
_OF_RESULT = (
    *("method", "class_idx", "status", "observed", "ci_low", "ci_high", "n", "n_needed", "p_value", "p_adjusted"),
    "reason",
)


def load_verdict(engine: Engine, evaluation_id: int) -> Verdict:
    """The verdict as it was saved.

    Raises:
        StoreError: there is no such evaluation.
    """
    with reading(engine) as connection:
        evaluation = required(connection, evaluation_id)
        return Verdict(
            status=Status(evaluation["verdict_status"]),
            sentence=evaluation["verdict_sentence"],
            notes=tuple(evaluation["notes"]),
            results=results(connection, evaluation_id),
        )


def results(connection: Connection, evaluation_id: int) -> tuple[ThresholdResult, ...]:
    """What came of every rule, in the order of the policy."""
    return tuple(map(_result, values_of(connection, _query(evaluation_id))))


def some_results(
    engine: Engine, evaluation_id: int, limit: int | None, offset: int
) -> tuple[tuple[ThresholdResult, ...], int]:
    """Some of them, and how many there are in all."""
    rows, total = some_values_of(engine, _query(evaluation_id), limit, offset)
    return tuple(map(_result, rows)), total


def _query(evaluation_id: int) -> Select[Any]:
    return parts_of(evaluation_id, ThresholdResultRow, (*_OF_RULE, *_OF_RESULT))


def _result(row: dict[str, Any]) -> ThresholdResult:
    rule = Rule(
        metric=row["metric"],
        limit=row["limit_value"],
        greater_is_better=row["greater_is_better"],
        method=row["threshold_method"],
        per_class=row["per_class"],
        severity=Severity(row["severity"]),
    )
    return ThresholdResult(
        **{name: row[name] for name in _OF_RESULT} | {"threshold": rule, "status": Status(row["status"])}
    )
