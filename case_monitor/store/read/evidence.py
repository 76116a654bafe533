"""What a verdict rests on: the figures over all classes, the rules, the alerts, the scores per image."""

from collections import defaultdict
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, select

from case_monitor.domain.policy import Severity
from case_monitor.domain.verdict import Status
from case_monitor.store.connection import reading
from case_monitor.store.read.parts import RuleItem, SummaryItem
from case_monitor.store.tables import (
    AlertObservationRow,
    ChildRow,
    ClassMetricsRow,
    MetricSummaryRow,
    SampleScoreRow,
    ThresholdResultRow,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedAlert:
    """An alert as this evaluation saw it."""

    rule: str
    method: str | None
    class_idx: int | None
    severity: Severity
    status: Status
    message: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassActivity:
    """The mean number of active channels of a class; None where no image of it was classified correctly."""

    class_name: str
    active_channels: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is stored of one evaluation besides its classes.

    `agreements` has one value per explained image, None where a map was degenerate; it is empty where no image was
    explained, and where the scores were pruned.
    """

    figures: tuple[SummaryItem, ...]
    rules: tuple[RuleItem, ...]
    alerts: tuple[ObservedAlert, ...]
    agreements: dict[str, tuple[float | None, ...]]
    explained: int
    activity: tuple[ClassActivity, ...]


def read_evidence(engine: Engine, evaluation_id: int) -> Evidence:
    """All of it, at one moment; empty where there is no such evaluation."""
    with reading(engine) as connection:
        return Evidence(
            figures=_figures(connection, evaluation_id),
            rules=_rules(connection, evaluation_id),
            alerts=_alerts(connection, evaluation_id),
            agreements=_agreements(connection, evaluation_id),
            explained=_explained(connection, evaluation_id),
            activity=_activity(connection, evaluation_id),
        )


def _figures(connection: Connection, evaluation_id: int) -> tuple[SummaryItem, ...]:
    query = _parts(SummaryItem, MetricSummaryRow, evaluation_id).where(MetricSummaryRow.class_idx.is_(None))
    return tuple(SummaryItem(**row) for row in connection.execute(query).mappings())


def _rules(connection: Connection, evaluation_id: int) -> tuple[RuleItem, ...]:
    rows = connection.execute(_parts(RuleItem, ThresholdResultRow, evaluation_id)).mappings()
    return tuple(RuleItem(**{**row, "status": Status(row["status"])}) for row in rows)


def _alerts(connection: Connection, evaluation_id: int) -> tuple[ObservedAlert, ...]:
    rows = connection.execute(_parts(ObservedAlert, AlertObservationRow, evaluation_id)).mappings()
    return tuple(
        ObservedAlert(**{**row, "severity": Severity(row["severity"]), "status": Status(row["status"])}) for row in rows
    )


def _parts(kind: type[Any], table: type[ChildRow], evaluation_id: int) -> Select[Any]:
    """The columns that a record has, in the order saved."""
    columns = table.__table__.columns
    query = select(*(columns[field.name] for field in fields(kind)))
    return query.where(table.evaluation_id == evaluation_id).order_by(*table.__table__.primary_key)


def _agreements(connection: Connection, evaluation_id: int) -> dict[str, tuple[float | None, ...]]:
    query = select(SampleScoreRow.method, SampleScoreRow.value).where(
        SampleScoreRow.evaluation_id == evaluation_id, SampleScoreRow.metric == "agreement"
    )
    found: dict[str, list[float | None]] = defaultdict(list)
    for method, value in connection.execute(query):
        found[method].append(value)
    return {method: tuple(values) for method, values in found.items()}


def _explained(connection: Connection, evaluation_id: int) -> int:
    """From the figures, which stay when the images are pruned."""
    images = func.max(MetricSummaryRow.n + MetricSummaryRow.n_undefined)
    query = select(images).where(
        MetricSummaryRow.evaluation_id == evaluation_id,
        MetricSummaryRow.metric.in_(["agreement_mean", "agreement_median"]),
        MetricSummaryRow.class_idx.is_(None),
    )
    return connection.execute(query).scalar_one() or 0


def _activity(connection: Connection, evaluation_id: int) -> tuple[ClassActivity, ...]:
    query = (
        select(ClassMetricsRow.class_name, ClassMetricsRow.active_channels)
        .where(ClassMetricsRow.evaluation_id == evaluation_id)
        .order_by(ClassMetricsRow.class_idx)
    )
    return tuple(ClassActivity(**row) for row in connection.execute(query).mappings())
