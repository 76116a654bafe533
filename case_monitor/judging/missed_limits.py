"""What it means that a figure misses its limit, one sentence for a release manager, and what to do about it."""

import math
from collections.abc import Callable

from case_monitor.domain.methods import has_own_pair, method_title
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult
from case_monitor.judging.further import CONTROL_METHOD, Further
from case_monitor.judging.image_counts import SUSPECTS
from case_monitor.judging.statistics.intervals import standardised_mean_interval

NO_FUNCTION = (
    "Look for dropout that stays on in eval mode, batch norm without running statistics, a graph that was exported in "
    "train mode, and code that looks at its batch, draws numbers, or remembers calls."
)
_SMALLER_SETS = (
    " Where CASE contrasts a class with all others, nothing may be left of it: of more than two classes, a smaller "
    "protocol.contrast_k leaves some out; of two, show Grad-CAM (policy.gate_method: gradcam)."
)
_LOOK = (
    "look at gallery.png and at what the architecture shares between classes (attention, pooling, a class token), "
    "before retraining."
)
_ANOTHER_LAYER = f"name another target layer (protocol.target_layer), and {_LOOK}"
_LEVEL = 0.95
READS_THE_PLACE = 1.0
"""SDs: networks that read a mark had 1.5 to 6.7, others that look at one place -0.1 to 1.0 (docs/calibration.md)."""


def _no_skill(result: ThresholdResult, _subject: str, _further: Further) -> tuple[str, str]:
    figure = f"{result.observed:+.3f}, interval {result.ci_low:+.3f} to {result.ci_high:+.3f}"
    too = "is no better" if result.threshold.limit == 0 else "is too little better"
    return (
        f"The model {too} than always answering the most frequent class: its skill is {figure}, where 0 is that answer "
        f"and 1 is always right (limit {result.threshold.limit:g}).",
        f"Look at the confusion matrix; {SUSPECTS}.",
    )


def _another_answer(result: ThresholdResult, _subject: str, _further: Further) -> tuple[str, str]:
    return (
        f"The model is no function of the image: of {result.n} images that were shown again, in pairs, a logit changed "
        f"by up to {result.observed:.3g} (limit {result.threshold.limit:g}).",
        f"{NO_FUNCTION} A model that computes in 16 bits, or in TF32 on a GPU, may need a higher limit on "
        "logit_difference.",
    )


def _pair_knows_no_class(result: ThresholdResult, _subject: str, further: Further) -> tuple[str, str]:
    message = f"The model's maps do not know which class they explain: {_hiding(result)}"
    if has_own_pair(further.shown):
        return message, f"They are made by hiding windows of the image, so that another layer changes nothing: {_LOOK}"
    weighing = "Another method that weighs this layer's channels is not likely to do better"
    if further.control is not None:
        message = f"{message} {further.of_control}"
    if further.control_knows_better:
        return message, (
            f"So the model has evidence for its classes in the image, which this layer's maps do not show. {weighing}: "
            f"show people occlusion maps (policy.gate_method: {CONTROL_METHOD}, with {CONTROL_METHOD} among "
            f"protocol.methods; they cost a pass for every window), or {_ANOTHER_LAYER}"
        )
    return message, f"{weighing}: {_ANOTHER_LAYER}"


def _shown_know_no_class(result: ThresholdResult, subject: str, further: Further) -> tuple[str, str]:
    message = f"{subject} maps do not know which class they explain: {_hiding(result)}"
    others = further.beside(result.method)
    if not others:
        if has_own_pair(further.shown):
            return message, f"No other method is known to do better on this model: {_LOOK}"
        better = f"{further.of_control} " if further.control_knows else ""
        return message, f"{better}No other method of this layer is known to do better: {_ANOTHER_LAYER}"
    titles = ", ".join(map(method_title, others))
    return message, (
        f"The evidence for the classes is in this layer, as pair_contrast says: {titles} can show it "
        f"(policy.gate_method: {others[0]}); look at gallery.png."
    )


def _hiding(result: ThresholdResult) -> str:
    """The figure as a count of images, in the words of its definition."""
    return (
        f"in {100 * result.observed:.0f} of 100 images, hiding what the map marks for the predicted class hurts that "
        "class more than hiding what it marks for the runner-up; a map that does not know its class would reach 50 "
        f"(interval {100 * result.ci_low:.0f} to {100 * result.ci_high:.0f}; limit {100 * result.threshold.limit:g})."
    )


def _without_effect(result: ThresholdResult, subject: str, _further: Further) -> tuple[str, str]:
    return (
        f"{subject} maps do not matter to the model: taking away the pixels they point at lowers its confidence "
        f"by {result.observed:+.3f} more than random pixels do.",
        "Look at fidelity.png; do not show these maps as evidence for the decision.",
    )


def _too_little_effect(result: ThresholdResult, subject: str, _further: Further) -> tuple[str, str]:
    return (
        f"{subject} maps hardly matter to the model: hiding the 5% of the pixels that they mark most hurts the "
        f"predicted class more than hiding random ones by {result.observed:+.2f} SDs of that difference (interval "
        f"{result.ci_low:+.2f} to {result.ci_high:+.2f}; limit {result.threshold.limit:g}).",
        "Look at fidelity.png; do not show these maps as evidence for the decision.",
    )


def _nothing_to_show(result: ThresholdResult, subject: str, further: Further) -> tuple[str, str]:
    return (
        f"{subject} has nothing to show for {result.observed:.0%} of the images (limit "
        f"{result.threshold.limit:.0%}): the map is empty or constant for the first or the second class.",
        ("Show" if has_own_pair(further.shown) else "Name another target layer, or show")
        + " people another method."
        + (_SMALLER_SETS if (result.method or "").startswith("case") else ""),
    )


def _one_place(result: ThresholdResult, _subject: str, further: Further) -> tuple[str, str]:
    images = "images" if result.class_idx is None else "images of one class"
    return (
        f"The model looks at the same place in all {images}: their maps share {result.observed:.0%} of their top "
        f"pixels, from image to image (interval {result.ci_low:.0%} to {result.ci_high:.0%}; limit "
        f"{result.threshold.limit:.0%}). A model that reads a mark instead of the object does so, and one that is "
        "shown aligned images.",
        _transplanted(further.transplant(result.class_idx)),
    )


def _transplanted(moved: MetricSummary | None) -> str:
    """What came of putting the pixels that are in that place into images of other classes."""
    look = "Look at gallery.png for a mark in that place"
    if moved is None:
        return f"{look}: put what is there into images of other classes, and see whether they change their class."
    alike = math.isnan(moved.effect_size)  # all images turn by as much: there is no SD
    low, _ = (math.inf, math.inf) if alike else standardised_mean_interval(moved.effect_size, moved.n, _LEVEL)
    by = "all by as much" if alike else f"by {moved.effect_size:.1f} SDs more than what other images have there"
    figure = (
        f"what images of the class have in that place, put into images of other classes, moves the model to it in "
        f"{100 * moved.value:.0f} of 100 (interval {100 * moved.ci_low:.0f} to {100 * moved.ci_high:.0f}), {by}"
    )
    if low > READS_THE_PLACE:
        return (
            f"It reads what is there: {figure}. {look}, and try the model on images without it, or where it "
            "means nothing, before trusting its accuracy."
        )
    return f"No mark is seen in it: {figure}; one that is read moves it by more than {READS_THE_PLACE:g}. {look}."


def _insensitive(result: ThresholdResult, subject: str, further: Further) -> tuple[str, str]:
    others = further.beside(result.method)
    message = (
        f"{subject} maps look the same whatever class is asked about: the maps for the first and the second class "
        f"share {result.observed:.0%} of their top pixels (median; limit {result.threshold.limit:.0%}). "
        "They reassure without explaining."
    )
    if others:
        titles = ", ".join(map(method_title, others))
        return message, f"On the same model the maps of {titles} differ: show those, and look at gallery.png."
    return message, (
        "No method is known whose maps differ more on this model. Look at "
        "gallery.png, and at what the architecture shares between classes (attention, pooling), before retraining."
    )


MISSED: dict[str, Callable[[ThresholdResult, str, Further], tuple[str, str]]] = {
    "skill": _no_skill,
    "logit_difference": _another_answer,
    "pair_contrast": _pair_knows_no_class,
    "shown_contrast": _shown_know_no_class,
    "fidelity_dz": _too_little_effect,
    "agreement_degenerate_rate": _nothing_to_show,
    "position": _one_place,
    "agreement_median": _insensitive,
    "confidence_drop_{}_vs_random": _without_effect,
}
"""Row of the catalogue -> (message, advice) where its limit is missed; the others say what was observed."""
