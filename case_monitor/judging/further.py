"""What is known beside the figure that misses its limit: what else there is to show, and what tests found."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from case_monitor.domain.methods import has_own_pair, same_pair
from case_monitor.domain.metrics import INSENSITIVE
from case_monitor.domain.policy import CLASS_SPECIFIC
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult

CONTROL_METHOD = "occlusion"
_FEWEST = 20  # images that a control has to be of
_CHANCE = 0.5


def shown_method(summaries: Sequence[MetricSummary]) -> str | None:
    """The method that people were shown when these figures were measured; None where that is not known."""
    return next((s.method for s in summaries if s.metric == "shown_contrast"), None)


def of_this_pair(summaries: Sequence[MetricSummary], gate_method: str) -> Sequence[MetricSummary]:
    """The figures without those of another pair map than the gate's: its own was not measured."""
    shown = shown_method(summaries)
    if shown is None or same_pair(shown, gate_method):
        return summaries
    return [s for s in summaries if not s.metric.startswith("pair_contrast")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Further:
    """What else is known of the model, for the words about a limit that it misses.

    Attributes:
        shown: the method that people are shown.
        methods: others whose maps are as the rule asks.
        control: on how many images occlusion maps know their class; None: they were not asked.
        transplants: of each class, on how many images of others its pixels, put into one place, move the model to it.
    """

    shown: str | None = None
    methods: Sequence[str] = ()
    control: MetricSummary | None = None
    transplants: Sequence[MetricSummary] = ()

    def transplant(self, class_idx: int | None) -> MetricSummary | None:
        """That of a class; of the whole model the strongest."""
        found = [t for t in self.transplants if class_idx in {None, t.class_idx} and not math.isnan(_strength(t))]
        return max(found, key=_strength, default=None)

    @property
    def control_knows(self) -> bool:
        """Whether occlusion maps surely know their class as well as is asked."""
        return self._says and self.control is not None and self.control.ci_low > CLASS_SPECIFIC

    @property
    def control_knows_better(self) -> bool:
        """Whether they surely know it better than by chance."""
        return self._says and self.control is not None and self.control.ci_low > _CHANCE

    @property
    def _says(self) -> bool:
        control = self.control
        return control is not None and control.n >= _FEWEST and math.isfinite(control.ci_low)

    @property
    def of_control(self) -> str:
        """A sentence on what occlusion maps of the same model know; empty where they were not asked."""
        control = self.control
        if control is None:
            return ""
        if not self._says:
            asked = control.n + control.n_undefined
            return f"Occlusion maps were asked too, and cannot tell: {control.n} of {asked} images gave a figure."
        if self.control_knows:
            verb = "know it"
        else:
            verb = "know it better than by chance" if self.control_knows_better else "are not seen to know it either"
        return (
            f"Occlusion maps {verb}: in {control.value * control.n:g} of {control.n} images (interval "
            f"{100 * control.ci_low:.0f} to {100 * control.ci_high:.0f} of 100)."
        )

    def beside(self, method: str | None) -> Sequence[str]:
        """The other methods."""
        return [m for m in self.methods if m != method]


def _strength(transplant: MetricSummary) -> float:
    """In SDs; infinite where all images turn by as much, as to a mark that is always the same, and there is no SD."""
    if math.isnan(transplant.effect_size) and transplant.value == 1 and transplant.n > 1:
        return math.inf
    return transplant.effect_size


def further_known(result: ThresholdResult, summaries: Sequence[MetricSummary]) -> Further:
    """What the figures say beside the one that a rule is about."""
    shown = shown_method(summaries)
    return Further(
        shown=shown,
        methods=_sensitive_methods(result, summaries, shown),
        control=next((s for s in summaries if s.metric == "occlusion_contrast"), None),
        transplants=[s for s in summaries if s.metric == "transplant"],
    )


def _sensitive_methods(result: ThresholdResult, summaries: Sequence[MetricSummary], shown: str | None) -> list[str]:
    """Methods whose maps are class-specific on this model, as the rule asks.

    The pair map is Grad-CAM's of the margin, unless occlusion's is shown: where it knows its classes, Grad-CAM's maps
    of centred logits do so but for a little; as people see them they may be alike all the same. Where it does not, maps
    that differ are no better.
    """
    pair = next((s for s in summaries if s.metric == "pair_contrast"), None)
    if has_own_pair(shown) or (pair is not None and not pair.ci_low > CLASS_SPECIFIC):
        return []
    if result.threshold.metric == "agreement_median":
        return [
            s.method
            for s in summaries
            if s.metric == "agreement_median" and s.class_idx is None and s.ci_high < INSENSITIVE
        ]
    alike = {s.method for s in summaries if s.metric == "agreement_median" and not s.ci_high < INSENSITIVE}
    measured = {s.method for s in summaries}
    return ["gradcam"] if pair is not None and "gradcam" in measured - alike else []
