"""Classes: quality, maps and contrast set of every class of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from sqlalchemy import Engine

from case_monitor.dashboard.pages.classes.columns import Column, Columns, Order, class_columns, in_order
from case_monitor.dashboard.pages.classes.rows import ClassRow, ShownFigures, class_row
from case_monitor.dashboard.parts.evaluation_head import EvaluationHead, EvaluationId, head_of, read_in_place
from case_monitor.dashboard.parts.metric_words import area_words
from case_monitor.dashboard.parts.stored_settings import drop_suffixes, gate_suffix
from case_monitor.dashboard.shell.paging import Pages, turn
from case_monitor.dashboard.shell.rendering import address, page
from case_monitor.dashboard.shell.resources import Held
from case_monitor.domain.metrics import INSENSITIVE
from case_monitor.settings import Settings
from case_monitor.store.read.classes import StoredClass, StoredClasses, read_class_details, read_classes
from case_monitor.store.read.evaluation_list import EvaluationSettings
from case_monitor.store.read.evaluations import StoredEvaluation

pages = APIRouter()

PAGE_SIZE = 50


class Show(StrEnum):
    """Which classes: `worst` are those that break a rule, are never recognised, or whose maps are alike."""

    WORST = "worst"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassesQuery:
    """Classes with `q` in their names, in which order; `order` None: the column's first, `area` None: the gate's."""

    q: str = ""
    show: Show | None = None
    sort: str = "index"
    order: Order | None = None
    area: str | None = None
    page: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SortLink:
    """The head of a column: how the table is sorted by it, None if it is not, and the address that sorts by it."""

    title: str
    order: Order | None
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The heads of all columns, as `Columns`."""

    plain: tuple[SortLink, ...]
    labels: tuple[SortLink, ...]
    agreement: tuple[SortLink, ...]
    drop: tuple[SortLink, ...]
    channels: SortLink


@dataclass(frozen=True, slots=True, kw_only=True)
class Area:
    """Which pixels were taken away: `suffix` as metrics have it."""

    suffix: str
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassesPage:
    """A page of the chosen classes, of which there are `found`; `limit` is the paper's on agreement."""

    head: EvaluationHead
    chosen: ClassesQuery
    areas: tuple[Area, ...]
    area: Area | None
    header: Header
    rows: tuple[ClassRow, ...]
    found: int
    pages: Pages
    limit: float
    csv: str


def classes_page(engine: Engine, settings: Settings, evaluation_id: int, chosen: ClassesQuery) -> ClassesPage:
    """What the page shows.

    Raises:
        HTTPException: 404, there is no such evaluation; 422, it has no such column or area.
    """
    found = read_in_place(engine, evaluation_id)
    stored, head = found.evaluation, head_of(settings, found)
    measured = EvaluationSettings(policy=stored.policy, protocol=stored.protocol)
    areas = tuple(Area(suffix=suffix, words=area_words(suffix)) for suffix in drop_suffixes(measured))
    area = _area(chosen.area, measured, areas)
    columns = class_columns(measured.methods, area.suffix if area else None)
    column = _column(columns, chosen.sort)
    of_gate = ("agreement_median", head.gate_method)
    says_yes = {label.figure for label in columns.labels if label.figure}
    classes = read_classes(engine, evaluation_id, {of_gate, column.figure or of_gate, *says_yes})
    if not any(classes.values[figure] for figure in says_yes):  # each image is of one class
        columns = replace(columns, labels=())
    fitting = [item for item in classes.classes if _fits(item, classes, head.gate_method, chosen)]
    ordered = in_order(fitting, classes, column, chosen.order or column.first)
    shown, turned = turn(ordered, chosen.page, lambda number: _link(chosen, page=number), PAGE_SIZE)
    return ClassesPage(
        head=head,
        chosen=chosen,
        areas=areas,
        area=area,
        header=_header(columns, column, chosen),
        rows=_rows(engine, stored, classes, columns, shown),
        found=len(ordered),
        pages=turned,
        limit=INSENSITIVE,
        csv=f"/api/v1/evaluations/{evaluation_id}/classes.csv",
    )


def _area(asked: str | None, measured: EvaluationSettings, areas: tuple[Area, ...]) -> Area | None:
    """The one asked for, else that of the gate; None where fidelity was not measured."""
    known = {area.suffix: area for area in areas}
    if asked is not None and asked not in known:
        raise HTTPException(422, f"Fidelity was not measured at {asked!r}, but at: {', '.join(known) or 'nothing'}.")
    return known.get(asked or gate_suffix(measured) or "")


def _column(columns: Columns, key: str) -> Column:
    found = columns.find(key)
    if found is None:
        raise HTTPException(422, f"There is no column {key!r} to sort by.")
    return found


def _fits(item: StoredClass, classes: StoredClasses, gate_method: str, chosen: ClassesQuery) -> bool:
    if chosen.q.casefold() not in item.class_name.casefold():
        return False
    agreement = classes.values["agreement_median", gate_method].get(item.class_idx)
    are_alike = agreement is not None and agreement >= INSENSITIVE
    return chosen.show is None or are_alike or item.recall == 0 or item.class_idx in classes.failing


def _rows(
    engine: Engine, stored: StoredEvaluation, classes: StoredClasses, columns: Columns, shown: Sequence[StoredClass]
) -> tuple[ClassRow, ...]:
    figures = ShownFigures(
        labels=tuple(c.figure for c in columns.labels if c.figure),
        agreements=tuple(c.figure for c in columns.agreement if c.figure),
        drops=tuple(c.figure for c in columns.drop if c.figure),
    )
    wanted = (*figures.labels, *figures.agreements, *figures.drops)
    details = read_class_details(engine, stored.id, [item.class_idx for item in shown], wanted)
    return tuple(class_row(item, classes, details, figures, stored.class_names) for item in shown)


def _header(columns: Columns, column: Column, chosen: ClassesQuery) -> Header:
    def links(of: tuple[Column, ...]) -> tuple[SortLink, ...]:
        return tuple(_sort_link(c, column, chosen) for c in of)

    return Header(
        plain=links(columns.plain),
        labels=links(columns.labels),
        agreement=links(columns.agreement),
        drop=links(columns.drop),
        channels=_sort_link(columns.channels, column, chosen),
    )


def _sort_link(column: Column, sorted_by: Column, chosen: ClassesQuery) -> SortLink:
    order = (chosen.order or column.first) if column == sorted_by else None
    following = order.other if order else column.first
    link = _link(chosen, page=1, sort=column.key, order=following if following is not column.first else None)
    return SortLink(title=column.title, order=order, address=link)


def _link(chosen: ClassesQuery, **changed: object) -> str:
    """This page with something changed, relative to itself: what is as without a query is left out."""
    query = {field.name: getattr(chosen, field.name) for field in fields(chosen)} | changed
    unchanged = {field.name: field.default for field in fields(chosen)}
    return address("", **{name: value for name, value in query.items() if value != unchanged[name]}) or "?"


@pages.get("/evaluation/{evaluation_id}/classes")
def show_classes(
    request: Request,
    held: Held,
    evaluation_id: EvaluationId,
    *,
    q: str = "",
    show: Show | Literal[""] = "",
    sort: str = "index",
    order: Order | Literal[""] = "",
    area: str = "",
    number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> Response:
    """The classes of an evaluation."""
    chosen = ClassesQuery(
        q=q, show=show or None, sort=sort or "index", order=order or None, area=area or None, page=number
    )
    return page(
        request, "classes.html", chosen, lambda: classes_page(held.engine, held.settings, evaluation_id, chosen)
    )
