"""The catalogue of metrics: one row for each that a rule of the policy may be about, with its range and direction."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from case_monitor.domain.protocol import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What a rule has to know about a figure. Every one of these has a confidence interval.

    Attributes:
        name: as summaries have it; `{}` stands for every area and fill of the fidelity test.
        low, high: of its range; a limit lies inside, so that some value would pass and some would fail.
        greater_is_better: its direction.
        of_methods: a figure of a saliency method; else of the model itself.
        overall: there is one over all images.
        per_class: there is one for every class.
        compared, compared_per_class: its paired difference from the baseline has an interval.
        needs_baseline: says how far the candidate is from the baseline, so that there is none without one.
        against_case: compares a method with CASE, which has none itself.
        of_classes: its `n` counts classes, of which there are no more to be had.
        says_how_good: an absolute rule on it keeps a model that has learned nothing from passing.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    greater_is_better: bool = True
    of_methods: bool = False
    overall: bool = True
    per_class: bool = False
    compared: bool = False
    compared_per_class: bool = False
    needs_baseline: bool = False
    against_case: bool = False
    of_classes: bool = False
    says_how_good: bool = False

    @property
    def width(self) -> float:
        """Of the range."""
        return self.high - self.low


_DROP = Metric(name="confidence_drop_{}", low=-1.0, of_methods=True)

METRICS = (
    Metric(name="accuracy", compared=True, says_how_good=True),
    Metric(name="balanced_accuracy", says_how_good=True),
    Metric(name="macro_f1", says_how_good=True),
    # Where one class has most of the images it can fall below -1, but a limit there would ask for nothing.
    Metric(name="skill", low=-1.0, says_how_good=True),
    Metric(name="recall", overall=False, per_class=True, compared_per_class=True, says_how_good=True),
    Metric(name="contrast_jaccard", needs_baseline=True, of_classes=True),
    Metric(name="agreement_mean", greater_is_better=False, of_methods=True, compared=True),
    Metric(name="agreement_median", greater_is_better=False, of_methods=True, per_class=True, compared=True),
    Metric(name="agreement_degenerate_rate", greater_is_better=False, of_methods=True),
    Metric(name="baseline_agreement", of_methods=True, needs_baseline=True),
    replace(_DROP, per_class=True, compared=True),
    Metric(name="abs_confidence_drop_{}", of_methods=True),
    Metric(name="relative_confidence_drop_{}", of_methods=True),
    replace(_DROP, name="confidence_drop_{}_vs_random"),
    replace(_DROP, name="confidence_drop_{}_vs_case", against_case=True),
    replace(_DROP, name="confidence_drop_{}_below_case", against_case=True),
)

BASELINE_ONLY = frozenset(m.name for m in METRICS if m.needs_baseline)
OF_CLASSES = frozenset(m.name for m in METRICS if m.of_classes)
SAY_HOW_GOOD = frozenset(m.name for m in METRICS if m.says_how_good)


class Broken(NamedTuple):
    """What is said of a model that gives NaN, and when it no longer does."""

    broken: str
    healthy: str


BROKEN = {
    "finite_logits": Broken("the logits of {broken} of {n} images are NaN or infinite", "all logits are finite"),
    "finite_passes": Broken(
        "it gives NaN or infinity in passes over {broken} of the {n} explained images: in gradients, in maps, or in "
        "logits with some pixels taken away",
        "every pass over the explained images gives finite numbers",
    ),
    "same_answers": Broken(
        "{broken} of {n} images get another answer when they are shown again, in pairs: the answers depend on "
        "the batch, on chance, or on what was asked before",
        "images that are shown again get the same answers",
    ),
}
"""What no policy can leave out."""


def metrics_under(protocol: Protocol) -> dict[str, Metric]:
    """What this protocol measures, by name."""
    suffixes = {m.name: protocol.suffixes if "{}" in m.name else ("",) for m in METRICS}
    named = (replace(m, name=m.name.format(suffix)) for m in METRICS for suffix in suffixes[m.name])
    return {m.name: m for m in named if "case" in protocol.methods or not m.against_case}
