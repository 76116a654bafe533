"""What has to be known about a figure; the catalogue of all of them is `metrics`."""

from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """What a figure is a number of; shares are written in per cent."""

    SHARE = "share"
    PROBABILITY = "probability"
    RATIO = "ratio"
    LOGIT = "logit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What has to be known about a figure.

    In texts `{area}` stands for the pixels that the fidelity test takes away, `{baseline}` for what is compared with.

    Attributes:
        name: as summaries have it; `{}` stands for every area and fill of the fidelity test.
        words: in sentences.
        asked: what cannot be judged, in the gate's sentences; empty: its name will do.
        claim: what the gate's maps do if a blocking rule on it holds.
        unit: what it is a number of.
        low, high: of its range; a limit lies inside, so that some value would pass and some would fail.
        greater_is_better: its direction.
        reference: what effect sizes compare it with; None: with chance, one over the number of classes.
        by_rules: a rule of the policy may be about it, since it has a confidence interval.
        of_methods: a figure of a saliency method; else of the model itself.
        of_explained: its images are the explained ones, though it is of no method.
        of_shown: of the one method that people are shown, the policy's gate method.
        at_top: of the top 5% of the pixels, so that there is none unless the fidelity test takes those away.
        overall: there is one over all images.
        per_class: there is one for every class.
        compared, compared_per_class: its paired difference from the baseline has an interval.
        needs_baseline: says how far the candidate is from the baseline, so that there is none without one.
        against_case: compares a method with CASE, which has none itself.
        of_classes: its `n` counts classes, of which there are no more to be had.
        as_seen: no estimate, but what was seen on the images that there are: its interval is the value itself.
        diagnostic: which one it is a figure of; empty: of none, so that it is always there.
        says_how_good: an absolute rule on it keeps a model that has learned nothing from passing.
        chart: title of its chart over versions.
        label: beside two versions' difference in a chart; empty: not drawn there.
        axis: below its values in the chart over seeds; empty: not drawn there.
        whole_range: charts show its whole range, whatever the values.
    """

    name: str
    words: str
    asked: str = ""
    claim: str = ""
    unit: Unit = Unit.SHARE
    low: float = 0
    high: float = 1
    greater_is_better: bool = True
    reference: float | None = 0.0
    by_rules: bool = True
    of_methods: bool = False
    of_explained: bool = False
    of_shown: bool = False
    at_top: bool = False
    overall: bool = True
    per_class: bool = False
    compared: bool = False
    compared_per_class: bool = False
    needs_baseline: bool = False
    against_case: bool = False
    of_classes: bool = False
    as_seen: bool = False
    diagnostic: str = ""
    says_how_good: bool = False
    chart: str = ""
    label: str = ""
    axis: str = ""
    whole_range: bool = False

    @property
    def width(self) -> float:
        """Of the range."""
        return self.high - self.low

    @property
    def direction(self) -> str:
        """Which values are better, in words."""
        return f"{'higher' if self.greater_is_better else 'lower'} is better"
