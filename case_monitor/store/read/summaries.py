"""Reads of some of an evaluation's figures: with a thousand classes all of them are too many for a page."""

from collections.abc import Collection, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import Double, Engine, Row, or_, select

from case_monitor.domain.arrays import UNDEFINED
from case_monitor.domain.summary import MetricSummary
from case_monitor.store.connection import reading
from case_monitor.store.tables import MetricSummaryRow


def load_some_summaries(engine: Engine, evaluation_id: int, per_class: Collection[str]) -> tuple[MetricSummary, ...]:
    """Every figure over all classes, and those of single classes of some metrics, in the order saved.

    Args:
        engine: the results database.
        evaluation_id: of whichever evaluation; without figures there are none.
        per_class: metrics of which to read the figure of every class.
    """
    columns = [MetricSummaryRow.__table__.columns[field.name] for field in fields(MetricSummary)]
    wanted = or_(MetricSummaryRow.class_idx.is_(None), MetricSummaryRow.metric.in_(per_class))
    query = select(*columns).where(MetricSummaryRow.evaluation_id == evaluation_id, wanted)
    undefined = [UNDEFINED if isinstance(column.type, Double) else None for column in columns]
    names = [column.name for column in columns]
    with reading(engine) as connection:
        rows = connection.execute(query.order_by(MetricSummaryRow.position)).all()
    return tuple(_summary(names, undefined, row) for row in rows)


def _summary(names: Sequence[str], undefined: Sequence[float | None], row: Row[Any]) -> MetricSummary:
    values: dict[str, Any] = {n: u if v is None else v for n, u, v in zip(names, undefined, row, strict=True)}
    return MetricSummary(**values)
