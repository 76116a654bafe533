"""Gallery: explained images, and whether their maps for the first and the second class differ."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request, Response
from sqlalchemy import Engine

from case_monitor.dashboard.pages.gallery.cards import Card, PictureSize, cards, shown_size
from case_monitor.dashboard.pages.gallery.pictures import View
from case_monitor.dashboard.parts.class_ref import ClassIndex, ClassRef
from case_monitor.dashboard.parts.evaluation_head import EvaluationHead, EvaluationId, head_of, read_in_place
from case_monitor.dashboard.shell.paging import Pages, turn
from case_monitor.dashboard.shell.rendering import address, page
from case_monitor.dashboard.shell.resources import Held
from case_monitor.domain.metrics import INSENSITIVE
from case_monitor.settings import Settings
from case_monitor.store.read.gallery import GalleryEntry, gallery_entries, picture_size

pages = APIRouter()

PER_PAGE = 12


class Sorting(StrEnum):
    """In which order the images come: those whose maps agree most first, by true class, or as they are stored."""

    AGREEMENT = "agreement"
    CLASS = "class"
    POSITION = "position"


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryQuery:
    """What to show: images of this true class, maps of this method (None: all), and how."""

    view: View = View.HEAT
    class_idx: int | None = None
    method: str | None = None
    sort: Sorting = Sorting.AGREEMENT
    page: int = 1

    @property
    def address(self) -> str:
        """What shows it, relative to the page."""
        query = {"view": self.view, "class": self.class_idx, "method": self.method, "sort": self.sort}
        return address("", **query, page=None if self.page == 1 else self.page)


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryPage:
    """A part of an evaluation's gallery.

    Attributes:
        head: of the evaluation's pages.
        chosen: what was asked for.
        stored: images in the gallery; 0: it was pruned, or never stored.
        fitting: of them, those that fit what was asked for; `cards` are the ones of this page.
        methods, classes: to choose from: those that there are in the gallery.
        sorted_by: the method whose agreement sorts.
        size: of every picture; None where there is none.
        other_view: address of the same with the other view, relative to the page.
        limit: the paper's, on agreement.
    """

    head: EvaluationHead
    chosen: GalleryQuery
    stored: int
    fitting: int
    cards: tuple[Card, ...]
    methods: tuple[str, ...]
    classes: tuple[ClassRef, ...]
    sorted_by: str
    size: PictureSize | None
    pages: Pages
    other_view: str
    limit: float


def gallery_page(engine: Engine, settings: Settings, evaluation_id: int, chosen: GalleryQuery) -> GalleryPage:
    """What the page shows.

    Raises:
        HTTPException: 404, there is no such evaluation, or it has no such class or method.
    """
    found = read_in_place(engine, evaluation_id)
    head, names = head_of(settings, found), found.evaluation.class_names
    entries = gallery_entries(engine, evaluation_id)
    methods = entries[0].methods if entries else ()
    _check(chosen, len(names), methods)
    sorted_by = chosen.method or head.gate_method
    fitting = _sorted([e for e in entries if chosen.class_idx in (None, e.target)], chosen.sort, sorted_by)
    part, turned = turn(fitting, chosen.page, lambda number: replace(chosen, page=number).address, PER_PAGE)
    shown = tuple(method for method in methods if chosen.method in (None, method))
    size = picture_size(engine, evaluation_id)
    other = View.TOP if chosen.view is View.HEAT else View.HEAT
    return GalleryPage(
        head=head,
        chosen=chosen,
        stored=len(entries),
        fitting=len(fitting),
        cards=cards(engine, found.evaluation, part, shown, chosen.view),
        methods=methods,
        classes=tuple(ClassRef(idx=idx, name=names[idx]) for idx in sorted({e.target for e in entries})),
        sorted_by=sorted_by,
        size=None if size is None else shown_size(*size),
        pages=turned,
        other_view=replace(chosen, view=other).address,
        limit=INSENSITIVE,
    )


def _check(chosen: GalleryQuery, num_classes: int, methods: Sequence[str]) -> None:
    if chosen.class_idx is not None and chosen.class_idx >= num_classes:
        raise HTTPException(404, f"The split has no class {chosen.class_idx}: they are 0 to {num_classes - 1}.")
    if chosen.method and methods and chosen.method not in methods:
        raise HTTPException(404, "The gallery has no maps of this method.")


def _sorted(entries: Sequence[GalleryEntry], sorting: Sorting, method: str) -> list[GalleryEntry]:
    """A degenerate map tells as little as two that are the same, so it counts as those do, and comes after them."""

    def worst_first(entry: GalleryEntry) -> tuple[float, bool, int]:
        agreement = entry.agreement.get(method)
        return (-1.0, True, entry.position) if agreement is None else (-agreement, False, entry.position)

    if sorting is Sorting.AGREEMENT:
        return sorted(entries, key=worst_first)
    return sorted(entries, key=lambda e: (e.target if sorting is Sorting.CLASS else 0, e.position))


@pages.get("/evaluation/{evaluation_id}/gallery")
def show_gallery(
    request: Request,
    held: Held,
    evaluation_id: EvaluationId,
    view: View | Literal[""] = View.HEAT,
    class_idx: Annotated[ClassIndex, Query(alias="class")] = None,
    method: str = "",
    sort: Sorting | Literal[""] = Sorting.AGREEMENT,
    number: Annotated[int, Query(alias="page", ge=1, le=1_000_000)] = 1,
) -> Response:
    """Explained images of an evaluation."""
    chosen = GalleryQuery(
        view=view or View.HEAT,
        class_idx=None if class_idx == "" else class_idx,
        method=method or None,
        sort=sort or Sorting.AGREEMENT,
        page=number,
    )
    return page(
        request, "gallery.html", chosen, lambda: gallery_page(held.engine, held.settings, evaluation_id, chosen)
    )
