"""The classes of one evaluation, with what was found out about each."""

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Engine, Select, select

from case_monitor.domain.confusion_matrix import ClassMetrics
from case_monitor.domain.contrast_sets import ContrastMember
from case_monitor.domain.status import Status
from case_monitor.store.connection import reading
from case_monitor.store.read.contrast_sets import members_of
from case_monitor.store.read.rows import parts_of, some_values_of, values_of
from case_monitor.store.read.summaries import MetricOfMethod, class_values, explained_by_class
from case_monitor.store.tables import ClassMetricsRow, EvaluationRow, ThresholdResultRow


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClass(ClassMetrics):
    """Quality of a class, with its name."""

    class_name: str


_NAMES = tuple(field.name for field in fields(StoredClass))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredClasses:
    """Every class in the order of the split.

    `explained` counts the explained images of the classes that have some; `failing` are the classes that break a rule
    of the policy, `unseen` those without a validation image. `values` are the figures that were asked for, by class; a
    class without explained images has none.
    """

    classes: tuple[StoredClass, ...]
    explained: dict[int, int]
    failing: frozenset[int]
    unseen: frozenset[int]
    values: dict[MetricOfMethod, dict[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDetails:
    """Of some classes: the figures that were asked for, as above, and the contrast sets in rank order."""

    values: dict[MetricOfMethod, dict[int, float]]
    contrast: dict[int, tuple[ContrastMember, ...]]


def read_classes(engine: Engine, evaluation_id: int, wanted: Collection[MetricOfMethod]) -> StoredClasses:
    """All classes of an evaluation, with `wanted` figures of each."""
    with reading(engine) as connection:
        return StoredClasses(
            classes=all_classes(connection, evaluation_id),
            explained=explained_by_class(connection, evaluation_id),
            failing=_failing(connection, evaluation_id),
            unseen=_unseen(connection, evaluation_id),
            values=class_values(connection, evaluation_id, wanted),
        )


def read_class_details(
    engine: Engine, evaluation_id: int, class_idx: Collection[int], wanted: Collection[MetricOfMethod]
) -> StoredDetails:
    """More of some classes of an evaluation."""
    with reading(engine) as connection:
        return StoredDetails(
            values=class_values(connection, evaluation_id, wanted, class_idx),
            contrast=_contrast(connection, evaluation_id, class_idx),
        )


def all_classes(connection: Connection, evaluation_id: int) -> tuple[StoredClass, ...]:
    """Every class, in the order of the split."""
    return tuple(StoredClass(**row) for row in values_of(connection, _query(evaluation_id)))


def some_classes(
    engine: Engine, evaluation_id: int, limit: int | None, offset: int
) -> tuple[tuple[StoredClass, ...], int]:
    """Some of the classes, and how many there are in all."""
    rows, total = some_values_of(engine, _query(evaluation_id), limit, offset)
    return tuple(StoredClass(**row) for row in rows), total


def class_names(engine: Engine, evaluation_id: int) -> dict[int, str]:
    """Names of the classes by index; none of an evaluation that is not stored."""
    with reading(engine) as connection:
        rows = connection.execute(parts_of(evaluation_id, ClassMetricsRow, ("class_idx", "class_name")))
        return {row.class_idx: row.class_name for row in rows}


def _query(evaluation_id: int) -> Select[Any]:
    return parts_of(evaluation_id, ClassMetricsRow, _NAMES)


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


def _contrast(
    connection: Connection, evaluation_id: int, class_idx: Collection[int]
) -> dict[int, tuple[ContrastMember, ...]]:
    members: dict[int, list[ContrastMember]] = defaultdict(list)
    for member in members_of(connection, evaluation_id, class_idx):
        members[member.target_class].append(member)
    return {idx: tuple(found) for idx, found in members.items()}
