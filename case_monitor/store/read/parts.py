"""The parts of an evaluation as rows, for whoever computes on them: undefined figures are None."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar, get_type_hints

from sqlalchemy import ColumnElement, Engine, Select, and_, func, select

from case_monitor.domain.contrast_sets import ContrastSource
from case_monitor.domain.promotion import Decision
from case_monitor.domain.verdict import Status
from case_monitor.store.connection import reading
from case_monitor.store.tables import (
    ClassMetricsRow,
    ConfusionCellRow,
    ContrastMemberRow,
    EvaluationRow,
    MetricSummaryRow,
    ModelVersionRow,
    PromotionRow,
    SampleRow,
    SampleScoreRow,
    ThresholdResultRow,
    name_digest,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationItem:
    """An evaluation of a registered version."""

    id: int
    model_name: str
    version: int
    verdict_status: Status
    verdict_sentence: str
    in_production: bool
    baseline_version: int | None
    split_name: str
    split_size: int
    model_digest: str
    split_digest: str
    protocol_digest: str
    policy_digest: str
    target_layer: str
    device: str
    torch_version: str
    package_version: str
    mlflow_run_id: str | None
    created_at: datetime
    updated_at: datetime
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleItem:
    """A rule of the policy applied."""

    metric: str
    method: str | None
    class_idx: int | None
    severity: str
    limit_value: float | None
    greater_is_better: bool
    status: Status
    observed: float | None
    ci_low: float | None
    ci_high: float | None
    n: int
    n_needed: int | None
    p_value: float | None
    p_adjusted: float | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryItem:
    """A figure with its uncertainty; `class_idx` None: over all classes."""

    metric: str
    method: str
    class_idx: int | None
    value: float | None
    n: int
    n_undefined: int
    undefined_because: str | None
    ci_low: float | None
    ci_high: float | None
    sd: float | None
    p_value: float | None
    p_adjusted: float | None
    effect_size: float | None
    test: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassItem:
    """Quality of a class."""

    class_idx: int
    class_name: str
    support: int
    precision: float | None
    recall: float | None
    recall_ci_low: float | None
    recall_ci_high: float | None
    f1: float | None
    active_channels: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellItem:
    """A cell of the confusion matrix that is not zero."""

    target_class: int
    predicted_class: int
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastItem:
    """A class in the contrast set of another."""

    target_class: int
    rank: int
    class_idx: int
    source: ContrastSource
    count: int
    weight: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreItem:
    """A score of an explained image."""

    sample_id: str
    target: int
    top2: int
    confidence: float | None
    method: str
    metric: str
    value: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PromotionItem:
    """An entry of the audit log."""

    id: int
    model_name: str
    alias: str
    version: int
    previous_version: int | None
    decision: Decision
    evaluation_id: int
    reason: str
    decided_at: datetime
    applied_at: datetime | None
    decided_by: str | None
    valid_until: datetime | None


Item = TypeVar(
    "Item", EvaluationItem, RuleItem, SummaryItem, ClassItem, CellItem, ContrastItem, ScoreItem, PromotionItem
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to read: parts of one evaluation, or what belongs to a model (None: to any)."""

    evaluation_id: int | None = None
    model_name: str | None = None
    version: int | None = None
    metric: str | None = None
    method: str | None = None


def is_stored(engine: Engine, evaluation_id: int) -> bool:
    """Whether there is such an evaluation."""
    with reading(engine) as connection:
        query = select(EvaluationRow.id).where(EvaluationRow.id == evaluation_id)
        return connection.execute(query).first() is not None


def read_items(
    engine: Engine, kind: type[Item], chosen: Selection, *, limit: int | None = None, offset: int = 0
) -> tuple[tuple[Item, ...], int]:
    """Some of the chosen items, and how many there are in all: parts in the order saved, others the newest first."""
    query = _query(kind, chosen)
    with reading(engine) as connection:
        total = connection.execute(select(func.count()).select_from(query.order_by(None).subquery())).scalar_one()
        rows = connection.execute(query.limit(limit).offset(offset)).all() if offset < total else []
    names = [field.name for field in fields(kind)]
    read = _readers(kind)
    return tuple(kind(**{n: read.get(n, _as_is)(v) for n, v in zip(names, row, strict=True)}) for row in rows), total


def _readers(kind: type[Any]) -> dict[str, Callable[[Any], Any]]:
    """What the database has as text becomes its enumeration again."""
    return {
        name: annotation
        for name, annotation in get_type_hints(kind).items()
        if isinstance(annotation, type) and issubclass(annotation, StrEnum)
    }


def _as_is(value: Any) -> Any:
    return value


def _query(kind: type[Any], chosen: Selection) -> Select[Any]:
    first, *others = _TABLES[kind]
    query = select(*(_column(field.name, first, *others) for field in fields(kind))).select_from(first)
    for table in others:
        query = query.join(table, _JOINS[table])
    if chosen.evaluation_id is not None:
        return _of_evaluation(query, first, chosen).order_by(*first.__table__.primary_key)
    newest = PromotionRow.decided_at if first is PromotionRow else EvaluationRow.updated_at
    return _of_model(query, chosen).order_by(newest.desc(), first.id.desc())


def _column(name: str, *tables: Any) -> Any:
    """Of the first table that has it."""
    if name == "model_name":
        return ModelVersionRow.name
    return next(getattr(table, name) for table in tables if hasattr(table, name))


def _of_evaluation(query: Select[Any], table: Any, chosen: Selection) -> Select[Any]:
    query = query.where((table.id if table is EvaluationRow else table.evaluation_id) == chosen.evaluation_id)
    for name in ("metric", "method"):
        wanted = getattr(chosen, name)
        if wanted is not None and hasattr(table, name):
            query = query.where(getattr(table, name) == wanted)
    return query


def _of_model(query: Select[Any], chosen: Selection) -> Select[Any]:
    if chosen.model_name is not None:
        query = query.where(ModelVersionRow.name_digest == name_digest(chosen.model_name))
    if chosen.version is not None:
        query = query.where(ModelVersionRow.version == chosen.version)
    return query


_TABLES: dict[type[Any], tuple[Any, ...]] = {
    EvaluationItem: (EvaluationRow, ModelVersionRow),
    PromotionItem: (PromotionRow, EvaluationRow, ModelVersionRow),
    RuleItem: (ThresholdResultRow,),
    SummaryItem: (MetricSummaryRow,),
    ClassItem: (ClassMetricsRow,),
    CellItem: (ConfusionCellRow,),
    ContrastItem: (ContrastMemberRow,),
    ScoreItem: (SampleScoreRow, SampleRow),
}
_JOINS: dict[type[Any], ColumnElement[bool]] = {
    ModelVersionRow: ModelVersionRow.id == EvaluationRow.model_version_id,
    EvaluationRow: EvaluationRow.id == PromotionRow.evaluation_id,
    SampleRow: and_(
        SampleRow.evaluation_id == SampleScoreRow.evaluation_id, SampleRow.position == SampleScoreRow.position
    ),
}
