"""What the gallery shows of one image."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Engine

from case_monitor.dashboard.pages.gallery.pictures import View, picture_path, picture_version
from case_monitor.dashboard.parts.class_ref import ClassRef
from case_monitor.dashboard.shell.rendering import address
from case_monitor.domain.methods import method_title
from case_monitor.domain.metrics import INSENSITIVE
from case_monitor.store.read.evaluations import StoredEvaluation
from case_monitor.store.read.gallery import GalleryEntry, empty_maps

CRISP_SIDE = 96
"""Images up to this size are shown pixel by pixel."""
CRISP_SHOWN, SMOOTH_SHOWN = 128, 160
"""Longer side as shown, in CSS pixels: of small images at least, of others just so."""

_VIEWS = {View.HEAT: "as heat over the image", View.TOP: "its top 5% in colour"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSize:
    """As shown, in CSS pixels; `crisp`: enlarged pixel by pixel."""

    width: int
    height: int
    crisp: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPicture:
    """A map over its image, in words as well; `path`, without the root path, is None where the map is empty."""

    path: str | None
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPair:
    """One method's maps for the first and the second class; `insensitive`: half of their top pixels are the same."""

    method: str
    agreement: float | None
    insensitive: bool
    first: MapPicture
    second: MapPicture


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One explained image; `picture` is its address without the root path."""

    position: int
    sample_id: str
    target: ClassRef
    top2: ClassRef
    confidence: float | None
    picture: str
    pairs: tuple[MapPair, ...]


def shown_size(width: int, height: int) -> PictureSize:
    """How large to show pictures of this size."""
    longer = max(width, height)
    if longer <= CRISP_SIDE:  # a whole factor, so that all pixels are as large
        factor = -(-CRISP_SHOWN // longer)
        return PictureSize(width=width * factor, height=height * factor, crisp=True)
    width, height = (max(1, round(side * SMOOTH_SHOWN / longer)) for side in (width, height))
    return PictureSize(width=width, height=height, crisp=False)


def cards(
    engine: Engine, evaluation: StoredEvaluation, entries: Sequence[GalleryEntry], methods: Sequence[str], view: View
) -> tuple[Card, ...]:
    """What to show of these images.

    Args:
        engine: the results database, which is asked for maps that are empty.
        evaluation: whose gallery.
        entries: the images.
        methods: whose maps.
        view: how they are laid over the images.
    """
    undefined = [(e.position, method) for e in entries for method in methods if e.agreement.get(method) is None]
    empty = empty_maps(engine, evaluation.id, undefined)
    return tuple(_Draft(evaluation, entry, view, empty).card(methods) for entry in entries)


@dataclass(frozen=True, slots=True)
class _Draft:
    evaluation: StoredEvaluation
    entry: GalleryEntry
    view: View
    empty: frozenset[tuple[int, str, int]]

    def card(self, methods: Sequence[str]) -> Card:
        entry = self.entry
        return Card(
            position=entry.position,
            sample_id=entry.sample_id,
            target=self._class(entry.target),
            top2=self._class(entry.top2),
            confidence=entry.confidence,
            picture=address(picture_path(self.evaluation.id, entry.position), v=self._version),
            pairs=tuple(self._pair(method) for method in methods),
        )

    @property
    def _version(self) -> str:
        return picture_version(self.evaluation.updated_at.timestamp())

    def _class(self, idx: int) -> ClassRef:
        return ClassRef(idx=idx, name=self.evaluation.class_names[idx])

    def _pair(self, method: str) -> MapPair:
        agreement = self.entry.agreement.get(method)
        return MapPair(
            method=method,
            agreement=agreement,
            insensitive=agreement is not None and agreement >= INSENSITIVE,
            first=self._map(method, 1, self.entry.target, "the predicted class"),
            second=self._map(method, 2, self.entry.top2, "the runner-up"),
        )

    def _map(self, method: str, rank: int, class_idx: int, place: str) -> MapPicture:
        what = f"{method_title(method)} map for {self._class(class_idx).name or f'class {class_idx}'}, {place}"
        if (self.entry.position, method, rank) in self.empty:
            return MapPicture(path=None, words=f"{what}: empty")
        path = picture_path(self.evaluation.id, self.entry.position, method, rank)
        return MapPicture(path=address(path, view=self.view, v=self._version), words=f"{what}, {_VIEWS[self.view]}")
