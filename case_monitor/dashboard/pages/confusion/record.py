"""What the page of a confusion matrix shows, and what can be asked of it."""

from dataclasses import dataclass
from enum import StrEnum

from case_monitor.dashboard.pages.confusion.confused_pairs import ConfusedPair
from case_monitor.dashboard.parts.class_ref import ClassRef
from case_monitor.dashboard.parts.evaluation_head import EvaluationHead
from case_monitor.domain.contrast_sets import ContrastSource


class ClassOrder(StrEnum):
    """In which order the classes stand in the matrix."""

    INDEX = "index"
    CLUSTERED = "clustered"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionQuery:
    """The order of the classes, and the class that the page is about, if it is about one."""

    order: ClassOrder = ClassOrder.INDEX
    class_idx: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixRow:
    """Of each predicted class, how many of the images of class `true` there are."""

    true: ClassRef
    support: int
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrasted:
    """A member of a contrast set; `weight` is the soft confusion."""

    member: ClassRef
    source: ContrastSource
    count: int
    weight: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassConfusions:
    """One class: what it is taken for, and what is taken for it, the most often confused first.

    The lists are cut to the first ones; `taken_for_total` and `taken_from_total` count all their classes.
    """

    about: ClassRef
    support: int
    right: int
    taken_for: tuple[ConfusedPair, ...]
    taken_for_total: int
    taken_from: tuple[ConfusedPair, ...]
    taken_from_total: int
    contrast: tuple[Contrasted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionPage:
    """The confusions of an evaluation. `table` is None where there are too many classes for one.

    `images` have a prediction, `wrong` of them another class than the true one; `pairs_total` counts the pairs of
    classes that were confused, of which `pairs` has the first ones.
    """

    head: EvaluationHead
    chosen: ConfusionQuery
    classes: tuple[ClassRef, ...]
    images: int
    wrong: int
    pairs: tuple[ConfusedPair, ...]
    pairs_total: int
    about_class: ClassConfusions | None
    table: tuple[MatrixRow, ...] | None
    confidence_level: float
    too_many_to_cluster: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfusionCells:
    """What the drawing is made of: the cells with an image, as three columns, and the order of the classes."""

    names: tuple[str, ...]
    order: tuple[int, ...]
    support: tuple[int, ...]
    true: tuple[int, ...]
    predicted: tuple[int, ...]
    count: tuple[int, ...]
