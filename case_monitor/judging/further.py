"""What is known beside the figure that misses its limit: what else there is to show, and what tests found."""

from collections.abc import Sequence
from dataclasses import dataclass

from case_monitor.domain.metrics import INSENSITIVE
from case_monitor.domain.policy import CLASS_SPECIFIC
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult

CONTROL_METHOD = "occlusion"


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
        found = [t for t in self.transplants if class_idx in {None, t.class_idx} and t.effect_size == t.effect_size]
        return max(found, key=lambda t: t.effect_size, default=None)

    @property
    def occlusion(self) -> str:
        """In a sentence, where occlusion maps know their class as well as is asked; else empty."""
        control = self.control
        if control is None or not control.value > CLASS_SPECIFIC:
            return ""
        return (
            f"Occlusion maps know their class, in {100 * control.value:.0f} of 100 images: show those "
            f"(policy.gate_method: {CONTROL_METHOD})."
        )

    def beside(self, method: str | None) -> Sequence[str]:
        """The other methods."""
        return [m for m in self.methods if m != method]


def further_known(result: ThresholdResult, summaries: Sequence[MetricSummary]) -> Further:
    """What the figures say beside the one that a rule is about."""
    found = {s.metric: s for s in summaries if s.metric in {"shown_contrast", "occlusion_contrast"}}
    shown = found["shown_contrast"].method if "shown_contrast" in found else None
    return Further(
        shown=shown,
        methods=_sensitive_methods(result, summaries, shown),
        control=found.get("occlusion_contrast"),
        transplants=[s for s in summaries if s.metric == "transplant"],
    )


def _sensitive_methods(result: ThresholdResult, summaries: Sequence[MetricSummary], shown: str | None) -> list[str]:
    """Methods whose maps are class-specific on this model, as the rule asks.

    The pair map is Grad-CAM's of the margin, unless occlusion's is shown: where it knows its classes, Grad-CAM's maps
    of centred logits do so but for a little; as people see them they may be alike all the same. Where it does not, maps
    that differ are no better.
    """
    pair = next((s for s in summaries if s.metric == "pair_contrast" and shown != CONTROL_METHOD), None)
    if pair is not None and not pair.ci_low > CLASS_SPECIFIC:
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
