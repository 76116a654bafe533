"""Figures with their uncertainty: whoever reads them reads them here."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, func, or_, select

from case_monitor.domain.summary import MetricSummary
from case_monitor.store.connection import reading
from case_monitor.store.read.rows import parts_of, required, some_values_of, values_of
from case_monitor.store.tables import MetricSummaryRow

MetricOfMethod = tuple[str, str]
"""(metric, method)."""

_NAMES = tuple(field.name for field in fields(MetricSummary))
_OVERALL = MetricSummaryRow.class_idx.is_(None)


def load_summaries(engine: Engine, evaluation_id: int) -> tuple[MetricSummary, ...]:
    """All of an evaluation, in the order saved.

    Raises:
        StoreError: there is no such evaluation.
    """
    with reading(engine) as connection:
        required(connection, evaluation_id)
        return _summaries(connection, _query(evaluation_id))


def load_some_summaries(engine: Engine, evaluation_id: int, per_class: Collection[str]) -> tuple[MetricSummary, ...]:
    """Every figure over all classes, and those of single classes of some metrics, in the order saved.

    Args:
        engine: the results database.
        evaluation_id: of whichever evaluation; without figures there are none.
        per_class: metrics of which to read the figure of every class.
    """
    with reading(engine) as connection:
        return _summaries(connection, _query(evaluation_id, or_(_OVERALL, MetricSummaryRow.metric.in_(per_class))))


def overall_summaries(connection: Connection, evaluation_id: int) -> tuple[MetricSummary, ...]:
    """Those over all classes, in the order saved."""
    return _summaries(connection, _query(evaluation_id, _OVERALL))


def some_summaries(
    engine: Engine, evaluation_id: int, metric: str | None, method: str | None, limit: int | None, offset: int
) -> tuple[tuple[MetricSummary, ...], int]:
    """Some of all figures, or of those of a metric or method, and how many there are in all."""
    table = MetricSummaryRow
    asked = [table.metric == metric] * (metric is not None) + [table.method == method] * (method is not None)
    rows, total = some_values_of(engine, _query(evaluation_id, *asked), limit, offset)
    return tuple(MetricSummary(**row) for row in rows), total


def overall_figures(
    engine: Engine, evaluation_ids: Collection[int], wanted: Mapping[str, Collection[str]]
) -> dict[MetricOfMethod, dict[int, MetricSummary]]:
    """Figures over all classes.

    Args:
        engine: the results database.
        evaluation_ids: of whichever evaluations.
        wanted: metric -> saliency methods; "" for metrics of the model itself.

    Returns:
        (metric, method) -> id of the evaluation -> value, interval and n; without those that were not measured.
    """
    table = MetricSummaryRow
    # Metric, method and evaluation, each by itself: so the partial index of the overall rows is used as a whole. With
    # a condition on pairs, PostgreSQL reads all of a metric, whichever evaluation it is of.
    methods = sorted({method for some in wanted.values() for method in some})
    of_these = (table.metric.in_(wanted), table.method.in_(methods), table.evaluation_id.in_(evaluation_ids))
    query = select(
        table.metric, table.method, table.evaluation_id, table.value, table.ci_low, table.ci_high, table.n
    ).where(*of_these, _OVERALL)
    found: dict[MetricOfMethod, dict[int, MetricSummary]] = defaultdict(dict)
    with reading(engine) as connection:
        for row in values_of(connection, query):
            evaluation_id = row.pop("evaluation_id")
            if row["method"] in wanted[row["metric"]]:
                found[row["metric"], row["method"]][evaluation_id] = MetricSummary(**row)
    return dict(found)


def adjusted_p_values(
    engine: Engine, evaluation_ids: Collection[int], methods: Collection[str]
) -> dict[tuple[int, str], float]:
    """(evaluation, method) -> p of "median agreement is 0.5 or more", adjusted over the methods."""
    table = MetricSummaryRow
    query = select(table.evaluation_id, table.method, table.p_adjusted).where(
        table.metric == "agreement_median",
        table.method.in_(methods),
        table.evaluation_id.in_(evaluation_ids),
        _OVERALL,
    )
    with reading(engine) as connection:
        rows = values_of(connection, query)
    return {(row["evaluation_id"], row["method"]): row["p_adjusted"] for row in rows}


def explained_images(connection: Connection, evaluation_id: int) -> int:
    """How many were explained, by the figures, which stay when the images are pruned."""
    images = func.max(MetricSummaryRow.n + MetricSummaryRow.n_undefined)
    query = select(images).where(
        MetricSummaryRow.evaluation_id == evaluation_id,
        MetricSummaryRow.metric.in_(["agreement_mean", "agreement_median"]),
        _OVERALL,
    )
    return connection.execute(query).scalar_one() or 0


def explained_by_class(connection: Connection, evaluation_id: int) -> dict[int, int]:
    """The same for every class that has some; every method has the same images."""
    query = (
        select(MetricSummaryRow.class_idx, func.max(MetricSummaryRow.n + MetricSummaryRow.n_undefined))
        .where(
            MetricSummaryRow.evaluation_id == evaluation_id,
            MetricSummaryRow.metric == "agreement_median",
            MetricSummaryRow.class_idx.is_not(None),
        )
        .group_by(MetricSummaryRow.class_idx)
    )
    return {class_idx: images for class_idx, images in connection.execute(query) if class_idx is not None}


def class_values(
    connection: Connection,
    evaluation_id: int,
    wanted: Collection[MetricOfMethod],
    class_idx: Collection[int] | None = None,
) -> dict[MetricOfMethod, dict[int, float]]:
    """Figures of these classes, or of all: (metric, method) -> class -> value; without those not measured."""
    values: dict[MetricOfMethod, dict[int, float]] = {key: {} for key in wanted}
    if not wanted:
        return values
    query = select(
        MetricSummaryRow.metric, MetricSummaryRow.method, MetricSummaryRow.class_idx, MetricSummaryRow.value
    ).where(
        MetricSummaryRow.evaluation_id == evaluation_id,
        MetricSummaryRow.metric.in_(sorted({metric for metric, _ in wanted})),
        MetricSummaryRow.method.in_(sorted({method for _, method in wanted})),
        MetricSummaryRow.class_idx.is_not(None) if class_idx is None else MetricSummaryRow.class_idx.in_(class_idx),
    )
    for row in values_of(connection, query):
        if (row["metric"], row["method"]) in values:
            values[row["metric"], row["method"]][row["class_idx"]] = row["value"]
    return values


def _query(evaluation_id: int, *conditions: ColumnElement[bool]) -> Select[Any]:
    return parts_of(evaluation_id, MetricSummaryRow, _NAMES, *conditions)


def _summaries(connection: Connection, query: Select[Any]) -> tuple[MetricSummary, ...]:
    return tuple(MetricSummary(**row) for row in values_of(connection, query))
