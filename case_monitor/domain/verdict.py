"""What was decided about a version, rule by rule."""

from dataclasses import dataclass

from case_monitor.domain.arrays import UNDEFINED
from case_monitor.domain.policy import Rule
from case_monitor.domain.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdResult:
    """A rule applied: what was observed, against which limit, with which outcome and why.

    Attributes:
        threshold: the rule.
        method: the saliency method judged; None for metrics of the model itself.
        class_idx: of a rule per class.
        status: the outcome.
        observed, ci_low, ci_high: the figure with its interval.
        n: images behind it.
        n_needed: how many would be enough, where they were too few and some number is likely to be.
        p_value: of "the quantity is within the limit", two-sided, from the interval.
        p_adjusted: Holm's over all blocking rules; Benjamini and Hochberg's over the classes of a warning rule.
        reason: in words.
    """

    threshold: Rule
    method: str | None
    class_idx: int | None
    status: Status
    observed: float
    ci_low: float
    ci_high: float
    n: int
    n_needed: int | None = None
    p_value: float = UNDEFINED
    p_adjusted: float = UNDEFINED
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's decision with the evidence for each rule. `sentence` says it in plain words.

    `notes` are what must be said with it: where the target layer comes from, what is odd about the images, what has
    changed since the version in production was evaluated.
    """

    status: Status
    sentence: str
    results: tuple[ThresholdResult, ...]
    notes: tuple[str, ...] = ()
