"""The parts of an evaluation: what each is called, and what is read for it."""

from dataclasses import dataclass
from enum import StrEnum

from fastapi import HTTPException
from sqlalchemy import Engine

from case_monitor.dashboard.api.items import (
    CellItem,
    ClassItem,
    ContrastItem,
    RuleItem,
    ScoreItem,
    SummaryItem,
    is_stored,
)


class Part(StrEnum):
    """What can be downloaded as a file."""

    RULES = "rules"
    SUMMARIES = "summaries"
    CLASSES = "classes"
    CONFUSION = "confusion"
    CONTRAST_SETS = "contrast-sets"
    SCORES = "scores"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRow:
    """A part of an evaluation.

    Attributes:
        kind: of its items.
        items: their name in the API's operations.
        says: what they are.
        of_figures: an item belongs to a metric and a method, which can be asked for.
    """

    kind: type[object]
    items: str
    says: str
    of_figures: bool = False


PARTS = {
    Part.RULES: PartRow(kind=RuleItem, items="rules", says="The evidence of the verdict, rule by rule."),
    Part.SUMMARIES: PartRow(
        kind=SummaryItem,
        items="summaries",
        says="Every figure with its uncertainty, over all classes and per class.",
        of_figures=True,
    ),
    Part.CLASSES: PartRow(kind=ClassItem, items="classes", says="Quality of each class."),
    Part.CONFUSION: PartRow(kind=CellItem, items="cells", says="The confusion matrix without its zeros."),
    Part.CONTRAST_SETS: PartRow(
        kind=ContrastItem, items="contrast_sets", says="The classes that each class is confused with."
    ),
    Part.SCORES: PartRow(
        kind=ScoreItem,
        items="scores",
        says="Scores of the explained images; none once they were pruned.",
        of_figures=True,
    ),
}


def require_evaluation(engine: Engine, evaluation_id: int) -> None:
    """Refuse with 404 what is not stored: a part without items is no error."""
    if not is_stored(engine, evaluation_id):
        raise HTTPException(404, f"evaluation {evaluation_id} is not stored")
