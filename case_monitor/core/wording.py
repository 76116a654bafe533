"""What a broken rule means and what to do about it, in words for people who do not know the metric's name."""

from collections.abc import Sequence

from case_monitor.core.records import Status, ThresholdResult

METHOD_TITLES = {
    "case": "CASE",
    "case_full": "CASE (full gradient)",
    "case_soft": "CASE (soft)",
    "case_subspace": "CASE (subspace)",
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "layercam": "LayerCAM",
    "hirescam": "HiResCAM",
    "scorecam": "Score-CAM",
    "ablationcam": "Ablation-CAM",
}


def method_title(method: str) -> str:
    """The method's name as its authors write it."""
    return METHOD_TITLES.get(method, method)


def alert_text(result: ThresholdResult, class_name: str | None, sensitive: Sequence[str]) -> tuple[str, str]:
    """(message, advice) for a rule that did not pass.

    Args:
        result: the rule and what was observed.
        class_name: of a per-class rule.
        sensitive: methods whose maps do tell classes apart on the same model.
    """
    subject = method_title(result.method) if result.method else "The model"
    of_class = f" for class {class_name!r}" if class_name is not None else ""
    if result.status is Status.INSUFFICIENT:
        what = f"{subject}: {_readable(result.threshold.metric)}{of_class} cannot be judged: {result.reason}."
        return what, "Raise protocol.sample_size, or use a larger validation split, and check again."
    metric = result.threshold.metric
    if metric == "agreement_median":
        return _insensitive(result, subject, [m for m in sensitive if m != result.method])
    if metric == "agreement_degenerate_rate":
        return (
            f"{subject} has nothing to show for {result.observed:.0%} of the images (limit "
            f"{result.threshold.limit:.0%}): the map is empty or constant for the first or the second class.",
            "Name another target layer, or show people another method.",
        )
    if metric.endswith("_vs_random"):
        return (
            f"{subject} maps do not matter to the model: taking away the pixels they point at lowers its confidence "
            f"by {result.observed:+.3f} more than random pixels do.",
            "Look at fidelity.png; do not show these maps as evidence for the decision.",
        )
    if metric == "accuracy_vs_baseline":
        return (
            f"Accuracy is {result.observed:+.1%} against the version in production (interval "
            f"{result.ci_low:+.1%} to {result.ci_high:+.1%}; allowed {result.threshold.limit:+.1%}).",
            "Look at confusion_matrix.png and class_metrics.csv for the classes that got worse.",
        )
    return (
        f"{subject}: {_readable(metric)}{of_class}: {result.reason}.",
        "Look at the per-class table and the confusion matrix.",
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
    return metric.replace("_", " ")
