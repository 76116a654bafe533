"""The columns of the table of classes: which there are, and how rows are put in order by them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from case_monitor.domain.arrays import UNDEFINED, defined
from case_monitor.domain.methods import method_title
from case_monitor.domain.metrics import row_of
from case_monitor.store.read.classes import StoredClass, StoredClasses
from case_monitor.store.read.summaries import MetricOfMethod


class Order(StrEnum):
    """Of a column."""

    ASCENDING = "asc"
    DESCENDING = "desc"

    @property
    def other(self) -> "Order":
        """The other way round."""
        return Order.DESCENDING if self is Order.ASCENDING else Order.ASCENDING


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column to sort by; `first` is the order that comes first: the worst on top.

    `figure` is what it shows, unless that is a field of the class itself.
    """

    key: str
    title: str
    first: Order = Order.ASCENDING
    figure: MetricOfMethod | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """All of them, from left to right; those of the methods are in two groups, `labels` are of a model's yes and no."""

    plain: tuple[Column, ...]
    labels: tuple[Column, ...]
    agreement: tuple[Column, ...]
    drop: tuple[Column, ...]
    channels: Column

    def find(self, key: str) -> Column | None:
        """The column with this key."""
        every = (*self.plain, *self.labels, *self.agreement, *self.drop, self.channels)
        return next((column for column in every if column.key == key), None)


def class_columns(methods: Iterable[str], suffix: str | None) -> Columns:
    """The columns for these methods, with the drops at one area (`suffix` as metrics have it), or without any."""
    known = tuple(methods)
    return Columns(
        plain=_PLAIN,
        labels=_LABELS,
        agreement=tuple(_column("agreement", "agreement_median", method) for method in known),
        drop=tuple(_column("drop", f"confidence_drop_{suffix}", method) for method in known if suffix is not None),
        channels=_CHANNELS,
    )


def _column(group: str, metric: str, method: str) -> Column:
    worst = Order.ASCENDING if row_of(metric).greater_is_better else Order.DESCENDING
    return Column(key=f"{group}.{method}", title=method_title(method), first=worst, figure=(metric, method))


def in_order(rows: Iterable[StoredClass], stored: StoredClasses, column: Column, order: Order) -> list[StoredClass]:
    """The classes by one column; what is undefined comes last, whatever the order, and equals in the split's order."""
    values = [(row, _value(row, stored, column)) for row in rows]
    defined = [(row, value) for row, value in values if value is not None]
    defined.sort(key=lambda pair: pair[1], reverse=order is Order.DESCENDING)
    return [row for row, _ in defined] + [row for row, value in values if value is None]


def _value(row: StoredClass, stored: StoredClasses, column: Column) -> Any:
    if column.figure is not None:
        return defined(stored.values[column.figure].get(row.class_idx, UNDEFINED))
    return stored.explained.get(row.class_idx, 0) if column.key == "explained" else _FIELDS[column.key](row)


_PLAIN = (
    Column(key="index", title="No."),
    Column(key="name", title="Class"),
    Column(key="support", title="Images"),
    Column(key="recall", title="Recall"),
    Column(key="precision", title="Precision"),
    Column(key="f1", title="F1"),
    Column(key="explained", title="Explained"),
)
_LABELS = (
    Column(key="label_recall", title="where it should", figure=("label_recall", "")),
    Column(key="label_precision", title="rightly", figure=("label_precision", "")),
)
_CHANNELS = Column(key="channels", title="Active channels")
_FIELDS: Mapping[str, Callable[[StoredClass], object]] = {
    "index": lambda row: row.class_idx,
    "name": lambda row: row.class_name.casefold(),
    "support": lambda row: row.support,
    "recall": lambda row: defined(row.recall),
    "precision": lambda row: defined(row.precision),
    "f1": lambda row: defined(row.f1),
    "channels": lambda row: defined(row.active_channels),
}
