"""What a broken rule means and what to do about it, in words for people who do not know the metric's name."""

import math
from collections.abc import Callable, Sequence

from case_monitor.domain.methods import method_title
from case_monitor.domain.metrics import BROKEN, named
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import vs_baseline
from case_monitor.domain.status import Status
from case_monitor.domain.verdict import ThresholdResult
from case_monitor.judging.image_counts import SUSPECTS, ImageCounts, advice_on_images, few_are_correct


def p_text(p: float) -> str:
    """A p value for people; empty where there is none.

    Example:
        >>> p_text(0.0312), p_text(1e-9), p_text(float("nan"))
        ('0.031', '<0.001', '')
    """
    if math.isnan(p):
        return ""
    return "<0.001" if p < 0.001 else f"{p:.2g}"


def alert_text(
    result: ThresholdResult,
    class_name: str | None,
    sensitive: Sequence[str],
    baseline: ModelVersion | None,
    counts: ImageCounts | None,
) -> tuple[str, str]:
    """(message, advice) for a rule that did not pass.

    Args:
        result: the rule and what was observed.
        class_name: of a per-class rule.
        sensitive: methods whose maps do tell classes apart on the same model.
        baseline: the version in production, if there is one.
        counts: how many images there were, if that is known.
    """
    subject = method_title(result.method) if result.method else "The model"
    of_class = f" for class {class_name!r}" if class_name is not None else ""
    metric = result.threshold.metric
    if metric == "same_answers":
        return (
            f"The model is no function of the image: {result.reason}, so that nothing else about it can be trusted.",
            "Look for dropout that stays on in eval mode, batch norm without running statistics, a graph that was "
            "exported in train mode, and code that looks at its batch, draws numbers, or remembers calls.",
        )
    if metric in BROKEN:
        return (
            f"The model is broken: {result.reason}, so that nothing else about it can be trusted.",
            "Look at predictions.parquet for the images, and at the model for divisions and overflows.",
        )
    if result.status is Status.INSUFFICIENT:
        few = f"; {counts}" if few_are_correct(result, counts) else ""
        what = f"{subject}: {_readable(metric)}{of_class} cannot be judged: {result.reason}{few}."
        return what, advice_on_images(result, class_name, counts)
    known = named(metric)
    words = _BEYOND.get(known.metric.name) if known else None
    if words is not None:
        return words(result, subject, [m for m in sensitive if m != result.method])
    if metric.endswith(vs_baseline("")):
        return _changed(result, subject, of_class, baseline)
    return (
        f"{subject}: {_readable(metric)}{of_class}: {result.reason}.",
        "Look at the per-class table and the confusion matrix.",
    )


def _changed(result: ThresholdResult, subject: str, of_class: str, baseline: ModelVersion | None) -> tuple[str, str]:
    of = result.threshold.metric.removesuffix(vs_baseline(""))
    what = f"{_readable(of).capitalize()}" if result.method is None else f"{subject}: {_readable(of)}"
    return (
        f"{what}{of_class} changed by {result.observed:+.3f} against {baseline}, in production, on the same images "
        f"(interval {result.ci_low:+.3f} to {result.ci_high:+.3f}; at most {abs(result.threshold.limit):.3f} "
        f"{'less' if result.threshold.greater_is_better else 'more'} is allowed).",
        "Look at confusion_matrix.png and class_metrics.csv for the classes that got worse."
        if result.method is None
        else "Compare gallery.png with that of the version in production.",
    )


def _nothing_to_show(result: ThresholdResult, subject: str, _others: Sequence[str]) -> tuple[str, str]:
    return (
        f"{subject} has nothing to show for {result.observed:.0%} of the images (limit "
        f"{result.threshold.limit:.0%}): the map is empty or constant for the first or the second class.",
        "Name another target layer, or show people another method.",
    )


def _without_effect(result: ThresholdResult, subject: str, _others: Sequence[str]) -> tuple[str, str]:
    return (
        f"{subject} maps do not matter to the model: taking away the pixels they point at lowers its confidence "
        f"by {result.observed:+.3f} more than random pixels do.",
        "Look at fidelity.png; do not show these maps as evidence for the decision.",
    )


def _no_skill(result: ThresholdResult, _subject: str, _others: Sequence[str]) -> tuple[str, str]:
    figure = f"{result.observed:+.3f}, interval {result.ci_low:+.3f} to {result.ci_high:+.3f}"
    too = "is no better" if result.threshold.limit == 0 else "is too little better"
    return (
        f"The model {too} than always answering the most frequent class: its skill is {figure}, where 0 is that answer "
        f"and 1 is always right (limit {result.threshold.limit:g}).",
        f"Look at the confusion matrix; {SUSPECTS}.",
    )


def _insensitive(result: ThresholdResult, subject: str, others: Sequence[str]) -> tuple[str, str]:
    message = (
        f"{subject} maps look the same whatever class is asked about: the maps for the first and the second class "
        f"share {result.observed:.0%} of their top pixels (median; limit {result.threshold.limit:.0%}). "
        "They reassure without explaining."
    )
    if others:
        titles = ", ".join(map(method_title, others))
        verb = "does" if len(others) == 1 else "do"
        return (
            message,
            f"On the same model {titles} {verb} tell classes apart: show that, and look at gallery.png.",
        )
    return message, (
        "No method tells classes apart on this model: its evidence sits in the same place for every class. Look at "
        "gallery.png, and at what the architecture shares between classes (attention, pooling), before retraining."
    )


def _readable(metric: str) -> str:
    known = named(metric)
    return known.metric.asked if known and known.metric.asked else metric.replace("_", " ")


_BEYOND: dict[str, Callable[[ThresholdResult, str, Sequence[str]], tuple[str, str]]] = {
    "agreement_median": _insensitive,
    "skill": _no_skill,
    "agreement_degenerate_rate": _nothing_to_show,
    "confidence_drop_{}_vs_random": _without_effect,
}
"""Row of the catalogue -> (message, advice) where its limit is missed; the others say what was observed."""
