"""The store's records as JSON and files have them: what is undefined is null here, and NaN everywhere inside."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, make_dataclass
from typing import Any, TypeVar, get_type_hints

from sqlalchemy import Engine

from case_monitor.domain.arrays import defined
from case_monitor.domain.contrast_sets import ContrastMember
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult
from case_monitor.store.read.classes import StoredClass, some_classes
from case_monitor.store.read.confusion import CellItem, some_cells
from case_monitor.store.read.contrast_sets import some_members
from case_monitor.store.read.evaluation_list import EvaluationItem, OfModel, is_stored, some_evaluations
from case_monitor.store.read.promotions import StoredPromotion, some_promotions
from case_monitor.store.read.scores import StoredScore, some_scores
from case_monitor.store.read.summaries import some_summaries
from case_monitor.store.read.verdicts import some_results

__all__ = [
    "CellItem",
    "ClassItem",
    "ContrastItem",
    "EvaluationItem",
    "PromotionItem",
    "RuleItem",
    "ScoreItem",
    "Selection",
    "SummaryItem",
    "is_stored",
    "read_items",
]

Item = TypeVar("Item")


def _of(record: type[Any], *order: str) -> Callable[[type[Item]], type[Item]]:
    """Give a class the fields of a record, in this order if it is another one; a figure may be None."""

    def with_fields(named: type[Item]) -> type[Item]:
        hints = get_type_hints(record)
        names = order or tuple(field.name for field in fields(record))
        kinds = [(name, hints[name] | None if hints[name] is float else hints[name]) for name in names]
        own = {"__doc__": named.__doc__, "__module__": named.__module__}
        made: type[Item] = make_dataclass(named.__name__, kinds, namespace=own, frozen=True, slots=True, kw_only=True)
        return made

    return with_fields


@_of(MetricSummary)
class SummaryItem:
    """A figure with its uncertainty; `class_idx` None: over all classes."""


@_of(
    StoredClass,
    *("class_idx", "class_name", "support", "precision", "recall", "recall_ci_low", "recall_ci_high", "f1"),
    "active_channels",
)
class ClassItem:
    """Quality of a class."""


@_of(ContrastMember)
class ContrastItem:
    """A class in the contrast set of another."""


@_of(StoredScore)
class ScoreItem:
    """A score of an explained image."""


@_of(StoredPromotion)
class PromotionItem:
    """An entry of the audit log."""


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
class Selection:
    """What to read: parts of one evaluation, or what belongs to a model (None: to any)."""

    evaluation_id: int | None = None
    model_name: str | None = None
    version: int | None = None
    metric: str | None = None
    method: str | None = None

    @property
    def of_model(self) -> OfModel:
        """The model, or its version."""
        return OfModel(name=self.model_name, version=self.version)

    @property
    def evaluation(self) -> int:
        """The one that parts are of."""
        return self.evaluation_id or 0  # no evaluation has this number


def read_items(
    engine: Engine, kind: type[Item], chosen: Selection, *, limit: int | None = None, offset: int = 0
) -> tuple[tuple[Item, ...], int]:
    """Some of the chosen items, and how many there are in all: parts in the order saved, others the newest first."""
    records, total = _READERS[kind](engine, chosen, limit, offset)
    return tuple(_item(kind, record) for record in records), total


def _item(kind: type[Item], record: object) -> Item:
    values = _flat(record) if isinstance(record, ThresholdResult) else record
    if isinstance(values, kind):
        return values
    read: Callable[[str], object] = (
        values.__getitem__ if isinstance(values, dict) else lambda name: getattr(values, name)
    )
    # mypy does not follow make_dataclass, which most kinds are made by.
    found = ((field.name, read(field.name)) for field in fields(kind))  # type: ignore[arg-type]
    return kind(**{name: defined(value) if isinstance(value, float) else value for name, value in found})


def _flat(result: ThresholdResult) -> dict[str, object]:
    """A result beside what it was asked."""
    rule = result.threshold
    of_rule = {
        "metric": rule.metric,
        "severity": rule.severity.value,
        "limit_value": rule.limit,
        "greater_is_better": rule.greater_is_better,
    }
    return {field.name: getattr(result, field.name) for field in fields(result)} | of_rule


_Reader = Callable[[Engine, Selection, int | None, int], tuple[Sequence[object], int]]
_READERS: Mapping[type[object], _Reader] = {
    EvaluationItem: lambda engine, of, *part: some_evaluations(engine, of.of_model, of.evaluation_id, *part),
    PromotionItem: lambda engine, of, *part: some_promotions(engine, of.of_model, *part),
    RuleItem: lambda engine, of, *part: some_results(engine, of.evaluation, *part),
    SummaryItem: lambda engine, of, *part: some_summaries(engine, of.evaluation, of.metric, of.method, *part),
    ClassItem: lambda engine, of, *part: some_classes(engine, of.evaluation, *part),
    CellItem: lambda engine, of, *part: some_cells(engine, of.evaluation, *part),
    ContrastItem: lambda engine, of, *part: some_members(engine, of.evaluation, *part),
    ScoreItem: lambda engine, of, *part: some_scores(engine, of.evaluation, of.metric, of.method, *part),
}
