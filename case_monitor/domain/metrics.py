"""The catalogue of metrics: one row for each figure, with all that rules, sentences and pictures have to know of it."""

import re
from collections.abc import Collection
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from case_monitor.domain.diagnostics import SCORES
from case_monitor.domain.metric import Metric, Unit
from case_monitor.domain.protocol import FILLS, TOP_FRACTION, Protocol, drop_suffix

INSENSITIVE = 0.5
"""The paper's threshold on agreement: maps that share half of their top pixels do not tell classes apart."""

_AGREEMENT = Metric(
    name="agreement_{}", words="", greater_is_better=False, of_methods=True, reference=INSENSITIVE, compared=True
)
_DROP = Metric(
    name="confidence_drop_{}",
    words="confidence drop without the {area}",
    unit=Unit.PROBABILITY,
    low=-1,
    of_methods=True,
)
_CONTRAST = Metric(
    name="pair_contrast",
    words="share of images on which the map of one class against the other knows which is which",
    asked="whether its maps know which class they explain",
    of_explained=True,
    compared=True,
    chart="Maps know their class",
    label="Pair contrast",
)
_LEFT_OUT = Metric(
    name="pair_contrast_one_sided_rate",
    words="share of images on which no pixel speaks for the second class, against the first",
    greater_is_better=False,
    by_rules=False,
)
_SHOWN = "share of images on which the shown maps know which class they explain"
_RIGHT = Metric(name="accuracy", words="accuracy", reference=None, says_how_good=True)
_YES = Metric(name="", words="", overall=False, per_class=True)

_ROWS = (
    replace(_RIGHT, compared=True, chart="Accuracy", label="Accuracy"),
    replace(_RIGHT, name="balanced_accuracy", words="balanced accuracy"),
    replace(_RIGHT, name="macro_f1", words="macro F1"),
    # Where one class has most of the images it can fall below -1, but a limit there would ask for nothing.
    Metric(
        name="skill",
        words="gain over always answering the most frequent class",
        asked="whether it is better than always answering the most frequent class",
        unit=Unit.RATIO,
        low=-1,
        says_how_good=True,
    ),
    replace(_RIGHT, name="recall", words="recall", overall=False, per_class=True, compared_per_class=True),
    replace(
        _YES, name="label_precision", words="share of the images to which the model says yes that are of the class"
    ),
    replace(_YES, name="label_recall", words="share of a class's images to which the model says yes"),
    Metric(
        name="contrast_jaccard",
        words="overlap of the contrast sets with {baseline}",
        reference=1.0,
        needs_baseline=True,
        of_classes=True,
        chart="Stability of the contrast sets",
        whole_range=True,
    ),
    replace(_AGREEMENT, name="agreement_mean", words="mean agreement", axis="mean agreement"),
    replace(
        _AGREEMENT,
        name="agreement_median",
        words="median agreement",
        claim="differ from class to class",
        per_class=True,
        chart="Agreement of the maps",
        label="Agreement",
        axis="median agreement",
        whole_range=True,
    ),
    Metric(
        name="agreement_degenerate_rate",
        words="share of images without a usable map",
        greater_is_better=False,
        of_methods=True,
        chart="Empty maps",
    ),
    Metric(
        name="baseline_agreement",
        words="agreement of the maps with {baseline}",
        reference=1.0,
        of_methods=True,
        needs_baseline=True,
        chart="Explanation drift",
        whole_range=True,
    ),
    replace(
        _DROP,
        per_class=True,
        compared=True,
        chart="Confidence drop",
        label="Drop {area}",
        axis="confidence drop, {area}",
    ),
    replace(_DROP, name="abs_confidence_drop_{}", words="absolute confidence drop without the {area}", low=0),
    replace(
        _DROP,
        name="relative_confidence_drop_{}",
        words="relative confidence drop without the {area}",
        unit=Unit.SHARE,
        low=0,
    ),
    replace(
        _DROP,
        name="confidence_drop_{}_vs_random",
        words="confidence drop without the {area}, beyond that of random pixels",
        claim="matter to the model",
    ),
    replace(
        _DROP,
        name="confidence_drop_{}_vs_case",
        words="confidence drop without the {area}, beyond that of CASE",
        against_case=True,
    ),
    replace(
        _DROP,
        name="confidence_drop_{}_below_case",
        words="confidence drop without the {area}, beyond that of CASE",
        against_case=True,
    ),
    _CONTRAST,
    _LEFT_OUT,
    replace(_LEFT_OUT, name="pair_contrast_tie_rate", words="share of images on which that map is a tie"),
    replace(
        _CONTRAST,
        name="occlusion_contrast",
        words="share of images on which an occlusion map of one class against the other knows which is which",
        asked="",
        by_rules=False,
        compared=False,
        chart="",
        label="",
    ),
    replace(
        _CONTRAST,
        name="shown_contrast",
        words=_SHOWN,
        claim="know which class they explain",
        of_methods=True,
        of_shown=True,
        chart="",
        label="Shown contrast",
    ),
    replace(
        _LEFT_OUT,
        name="shown_contrast_one_sided_rate",
        words="share of images on which no pixel speaks for the second class, in the shown maps",
        of_methods=True,
        of_shown=True,
    ),
    replace(
        _LEFT_OUT,
        name="shown_contrast_tie_rate",
        words="share of images on which the shown maps are a tie",
        of_methods=True,
        of_shown=True,
    ),
    # Values beyond are possible, but a limit there would ask for nothing, or for the impossible.
    Metric(
        name="fidelity_dz",
        words="loss of margin without the top 5% of the pixels, beyond that of random pixels, in SDs",
        asked="how much the marked pixels matter to the model",
        claim="matter to the model",
        unit=Unit.RATIO,
        low=-5,
        high=5,
        of_methods=True,
        of_shown=True,
        at_top=True,
        axis="fidelity in SDs",
    ),
    Metric(
        name="position",
        words="likeness of the places that the model looks at, from image to image",
        asked="whether it looks at the same place in all images",
        of_explained=True,
        greater_is_better=False,
        unit=Unit.RATIO,
        per_class=True,
    ),
    Metric(
        name="transplant",
        words="share of images of other classes that pixels from the place move towards the class",
        by_rules=False,
        overall=False,
        per_class=True,
    ),
    Metric(
        name="logit_difference",
        words="largest change of a logit when images are shown again",
        asked="whether it gives the same logits when images are shown again",
        unit=Unit.LOGIT,
        greater_is_better=False,
        high=10,
        as_seen=True,
    ),
    Metric(name="explained", words="share of the drawn images that are classified correctly", by_rules=False),
    Metric(name="finite_logits", words="share of images with finite logits", by_rules=False),
    Metric(name="finite_passes", words="share of explained images with finite passes", by_rules=False),
    Metric(name="same_answers", words="share of images with the same answer when shown again", by_rules=False),
)

METRICS = {m.name: m for m in (*_ROWS, *(figure for score in SCORES.values() for figure in score.figures))}

HOW_GOOD_A_MODEL_IS = "accuracy, balanced accuracy, macro F1, recall or skill"
"""The metrics that say it, in words."""


class Named(NamedTuple):
    """A metric by the name that a summary has: its row, and the area and fill that the name says ("" for none)."""

    metric: Metric
    suffix: str


def named(name: str) -> Named | None:
    """The row that a name belongs to; None where it is in no catalogue.

    >>> named("confidence_drop_5_blur_vs_random").suffix
    '5_blur'
    """
    if name in METRICS and "{}" not in name:
        return Named(METRICS[name], "")
    for pattern, metric in METRICS.items():
        found = "{}" in pattern and _of_every_area(pattern).fullmatch(name)
        if found:
            return Named(metric, found[1])
    return None


@lru_cache(maxsize=64)
def _of_every_area(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\{\}", r"(\d[^_]*(?:_blur)?)"))


def row_of(name: str) -> Metric:
    """The row of a metric, by the name that a summary has.

    Raises:
        KeyError: there is none.
    """
    found = named(name)
    if found is None:
        raise KeyError(name)
    return found.metric


def metrics_under(protocol: Protocol) -> dict[str, Metric]:
    """What this protocol measures and a rule may be about, by name."""
    found = metrics_of(protocol.suffixes, protocol.methods, protocol.diagnostics)
    return {name: metric for name, metric in found.items() if metric.by_rules}


def metrics_of(
    suffixes: Collection[str], methods: Collection[str], diagnostics: Collection[str] = ()
) -> dict[str, Metric]:
    """Every metric by its full name.

    Args:
        suffixes: areas and fills of the fidelity test, as `Protocol.suffixes`.
        methods: the saliency methods that are measured.
        diagnostics: those that are measured.
    """
    pairs = ((m, suffix) for m in METRICS.values() for suffix in (suffixes if "{}" in m.name else ("",)))
    full = (replace(m, name=m.name.format(suffix)) for m, suffix in pairs)
    top = {drop_suffix(TOP_FRACTION, fill) for fill in FILLS} & set(suffixes)
    of_diagnostics = {"", *diagnostics}
    return {
        m.name: m
        for m in full
        if ("case" in methods or not m.against_case) and (top or not m.at_top) and m.diagnostic in of_diagnostics
    }
