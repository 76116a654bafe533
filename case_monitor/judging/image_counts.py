"""How many images a figure rests on, and what would give it more: the advice where they were too few."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from case_monitor.domain.metric_kinds import is_of_explained
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult

SUSPECTS = "check the order of the classes, the preprocessing and model.eval()"
_FEW = 0.5  # of the drawn images: when fewer are classified correctly, the model is what to look at first


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageCounts:
    """Images of the split, those drawn from it, and those of the latter that are classified correctly."""

    split: int
    drawn: int
    correct: int

    def __str__(self) -> str:
        only = f"only {self.correct}" if self.correct else "none"
        return f"{only} of {self.drawn} drawn images are classified correctly"


def image_counts(summaries: Sequence[MetricSummary]) -> ImageCounts | None:
    """What the figures say about it; None of an evaluation that was stored before they did."""
    rows = {s.metric: s for s in summaries if s.metric in {"finite_logits", "explained"}}
    if len(rows) < 2 or not rows["explained"].n:
        return None
    split, drawn = rows["finite_logits"].n, rows["explained"].n
    return ImageCounts(split=split, drawn=drawn, correct=round(rows["explained"].value * drawn))


def few_are_correct(result: ThresholdResult, counts: ImageCounts | None) -> bool:
    """Whether a rule about maps has too few images because the model gets so few right."""
    too_few = result.n_needed is not None and math.isnan(result.p_value)
    return (
        is_of_explained(result.threshold.metric)
        and too_few
        and counts is not None
        and counts.correct < _FEW * counts.drawn
    )


def advice_on_images(result: ThresholdResult, class_name: str | None, counts: ImageCounts | None) -> str:
    """What to do about a rule that could not be judged.

    `n_needed` are images with a defined score; `protocol.sample_size` counts drawn ones, and matters to maps alone.
    """
    if few_are_correct(result, counts):
        return f"Before you draw more images, {SUSPECTS}."
    if result.n_needed is None:
        return _without_a_number(result)
    of_class = "" if class_name is None else f" of class {class_name!r}"
    if not is_of_explained(result.threshold.metric):
        return _larger_split(result, result.n_needed, of_class, counts)
    if not result.n:
        return f"No image{of_class} has a score: look at class_metrics.csv for how many are classified correctly."
    if counts is None:
        return (
            f"About {result.n_needed} images{of_class} with a defined score are needed: raise protocol.sample_size by "
            f"a factor of {result.n_needed / result.n:.1f}, or use a larger validation split."
        )
    return _more_drawn(result, result.n_needed, of_class, counts)


def _without_a_number(result: ThresholdResult) -> str:
    if result.threshold.metric == "skill" and not result.n:
        return "Use a validation split with images of all classes."
    if is_of_explained(result.threshold.metric) and math.isnan(result.p_value):
        return "Find out why images have no score: name another target layer, or show people another method."
    return "Look at the figure itself: more images are not likely to decide."


def _larger_split(result: ThresholdResult, needed: int, of_class: str, counts: ImageCounts | None) -> str:
    has = result.n
    if not of_class and counts is not None:  # images without a prediction come in proportion
        needed, has = math.ceil(needed * counts.split / max(has, 1)), counts.split
    return f"Use a validation split with about {needed} images{of_class}; this one has {has}."


def _more_drawn(result: ThresholdResult, needed: int, of_class: str, counts: ImageCounts) -> str:
    drawn = math.ceil(needed * counts.drawn / result.n)
    gave = f"{result.n} of the {counts.drawn} drawn images gave a score" + (of_class and f" as images{of_class}")
    if drawn <= counts.split:
        return f"Raise protocol.sample_size to about {drawn}: {gave}."
    return (
        f"Use a larger validation split, of about {drawn} images where this one has {counts.split}, and a "
        f"protocol.sample_size as high: {gave}."
    )
