"""What a broken rule means and what to do about it, in words for people who do not know the metric's name."""

from case_monitor.domain.always_judged import BROKEN
from case_monitor.domain.methods import method_title
from case_monitor.domain.metric_kinds import is_of_explained
from case_monitor.domain.metrics import named
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import vs_baseline
from case_monitor.domain.status import Status
from case_monitor.domain.verdict import ThresholdResult
from case_monitor.judging.further import Further
from case_monitor.judging.image_counts import ImageCounts, advice_on_images, few_are_correct
from case_monitor.judging.missed_limits import MISSED, NO_FUNCTION


def alert_text(
    result: ThresholdResult,
    class_name: str | None,
    further: Further,
    baseline: ModelVersion | None,
    counts: ImageCounts | None,
) -> tuple[str, str]:
    """(message, advice) for a rule that did not pass.

    Args:
        result: the rule and what was observed.
        class_name: of a per-class rule.
        further: what else is known of the model.
        baseline: the version in production, if there is one.
        counts: how many images there were, if that is known.
    """
    subject = method_title(result.method) if result.method else "The model"
    of_class = f" for class {class_name!r}" if class_name is not None else ""
    metric = result.threshold.metric
    if metric == "same_answers":
        return (
            f"The model is no function of the image: {result.reason}, so that nothing else about it can be trusted.",
            NO_FUNCTION,
        )
    if metric in BROKEN:
        return (
            f"The model is broken: {result.reason}, so that nothing else about it can be trusted.",
            "Look at predictions.parquet for the images, and at the model for divisions and overflows.",
        )
    if result.status is Status.INSUFFICIENT:
        few = f"; {counts}" if few_are_correct(result, counts) else ""
        what = f"{subject}: {_readable(metric)}{of_class} cannot be judged: {result.reason}{few}."
        beside = f" {further.of_control}" if metric == "pair_contrast" and further.control is not None else ""
        return what + beside, advice_on_images(result, class_name, counts)
    known = named(metric)
    words = MISSED.get(known.metric.name) if known else None
    if words is not None:
        message, advice = words(result, subject, further)
        return (f"Class {class_name!r}: {message}" if of_class else message), advice
    if metric.endswith(vs_baseline("")):
        return _changed(result, subject, of_class, baseline)
    if metric == "recall":
        return _knows_a_class_badly(result, of_class)
    return (
        f"{subject}: {_readable(metric)}{of_class}: {result.reason}.",
        "Look at the per-class table and the confusion matrix.",
    )


def _knows_a_class_badly(result: ThresholdResult, of_class: str) -> tuple[str, str]:
    return (
        f"The model: recall{of_class}: it gets {result.observed:.0%} of those images right (interval "
        f"{result.ci_low:.0%} to {result.ci_high:.0%}; limit {result.threshold.limit:.0%}).",
        "Look at the confusion matrix for what it takes them for, and at the labels of that class.",
    )


def _changed(result: ThresholdResult, subject: str, of_class: str, baseline: ModelVersion | None) -> tuple[str, str]:
    of = result.threshold.metric.removesuffix(vs_baseline(""))
    figure = of.replace("_", " ")
    what = figure.capitalize() if result.method is None else f"{subject}: {figure}"
    return (
        f"{what}{of_class} changed by {result.observed:+.3f} against {baseline}, in production, on the same images "
        f"(interval {result.ci_low:+.3f} to {result.ci_high:+.3f}; at most {abs(result.threshold.limit):.3f} "
        f"{'less' if result.threshold.greater_is_better else 'more'} is allowed).",
        "Compare gallery.png with that of the version in production."
        if is_of_explained(of)
        else "Look at confusion_matrix.png and class_metrics.csv for the classes that got worse.",
    )


def _readable(metric: str) -> str:
    known = named(metric)
    return known.metric.asked if known and known.metric.asked else metric.replace("_", " ")
