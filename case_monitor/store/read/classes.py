"""The classes of one evaluation, with what was found out about each."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields

from sqlalchemy import Connection, Engine, func, select

from case_monitor.domain.contrast_sets import ContrastSource
from case_monitor.domain.verdict import Status
from case_monitor.store.connection import reading
from case_monitor.store.read.parts import ClassItem, ContrastItem
from case_monitor.store.tables import (
    ClassMetricsRow,
    ContrastMemberRow,
    EvaluationRow,
    MetricSummaryRow,
    ThresholdResultRow,
)

MetricOfMethod = tuple[str, str]
"""(metric, method)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClasses:
    """Every class in the order of the split.

    `explained` counts the explained images of the classes that have some; `failing` are the classes that break a rule
    of the policy, `unseen` those without a validation image. `values` are the figures that were asked for, by class; a
    class without explained images has none, and a figure that is undefined is None.
    """

    classes: tuple[ClassItem, ...]
    explained: dict[int, int]
    failing: frozenset[int]
    unseen: frozenset[int]
    values: dict[MetricOfMethod, dict[int, float | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDetails:
    """Of some classes: the figures that were asked for, as above, and the contrast sets in rank order."""

    values: dict[MetricOfMethod, dict[int, float | None]]
    contrast: dict[int, tuple[ContrastItem, ...]]


def read_classes(engine: Engine, evaluation_id: int, wanted: Collection[MetricOfMethod]) -> StoredClasses:
    """All classes of an evaluation, with `wanted` figures of each."""
    query = select(*(getattr(ClassMetricsRow, field.name) for field in fields(ClassItem)))
    query = query.where(ClassMetricsRow.evaluation_id == evaluation_id).order_by(ClassMetricsRow.class_idx)
    with reading(engine) as connection:
        return StoredClasses(
            classes=tuple(ClassItem(**row) for row in connection.execute(query).mappings()),
            explained=_explained(connection, evaluation_id),
            failing=_failing(connection, evaluation_id),
            unseen=_unseen(connection, evaluation_id),
            values=_values(connection, evaluation_id, wanted),
        )


def read_class_details(
    engine: Engine, evaluation_id: int, class_idx: Collection[int], wanted: Collection[MetricOfMethod]
) -> StoredDetails:
    """More of some classes of an evaluation."""
    with reading(engine) as connection:
        return StoredDetails(
            values=_values(connection, evaluation_id, wanted, class_idx),
            contrast=_contrast(connection, evaluation_id, class_idx),
        )


def _explained(connection: Connection, evaluation_id: int) -> dict[int, int]:
    """From the figures, which stay when the images are pruned; every method has the same images."""
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


def _failing(connection: Connection, evaluation_id: int) -> frozenset[int]:
    query = select(ThresholdResultRow.class_idx).where(
        ThresholdResultRow.evaluation_id == evaluation_id,
        ThresholdResultRow.class_idx.is_not(None),
        ThresholdResultRow.status == Status.FAIL.value,
    )
    return frozenset(idx for idx in connection.execute(query).scalars() if idx is not None)


def _unseen(connection: Connection, evaluation_id: int) -> frozenset[int]:
    query = select(EvaluationRow.unseen_classes).where(EvaluationRow.id == evaluation_id)
    return frozenset(connection.execute(query).scalar_one_or_none() or ())


def _values(
    connection: Connection,
    evaluation_id: int,
    wanted: Collection[MetricOfMethod],
    class_idx: Collection[int] | None = None,
) -> dict[MetricOfMethod, dict[int, float | None]]:
    values: dict[MetricOfMethod, dict[int, float | None]] = {key: {} for key in wanted}
    if not wanted:
        return values
    query = select(
        MetricSummaryRow.metric, MetricSummaryRow.method, MetricSummaryRow.class_idx, MetricSummaryRow.value
    ).where(
        MetricSummaryRow.evaluation_id == evaluation_id,
        MetricSummaryRow.metric.in_(_distinct(metric for metric, _ in wanted)),
        MetricSummaryRow.method.in_(_distinct(method for _, method in wanted)),
        MetricSummaryRow.class_idx.is_not(None) if class_idx is None else MetricSummaryRow.class_idx.in_(class_idx),
    )
    for metric, method, idx, value in connection.execute(query):
        if (metric, method) in values and idx is not None:
            values[metric, method][idx] = value
    return values


def _distinct(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def _contrast(
    connection: Connection, evaluation_id: int, class_idx: Collection[int]
) -> dict[int, tuple[ContrastItem, ...]]:
    query = (
        select(*(getattr(ContrastMemberRow, field.name) for field in fields(ContrastItem)))
        .where(ContrastMemberRow.evaluation_id == evaluation_id, ContrastMemberRow.target_class.in_(class_idx))
        .order_by(ContrastMemberRow.target_class, ContrastMemberRow.rank)
    )
    members: dict[int, list[ContrastItem]] = defaultdict(list)
    for row in connection.execute(query).mappings():
        members[row["target_class"]].append(ContrastItem(**{**row, "source": ContrastSource(row["source"])}))
    return {idx: tuple(found) for idx, found in members.items()}
