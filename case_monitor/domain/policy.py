"""When a version may be promoted: the rules that a release manager sets."""

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from case_monitor.domain.errors import expect

GATE_METHOD = "gate"
"""What stands for the policy's gate method in a threshold."""


class Severity(StrEnum):
    """`block` withholds promotion; `warn` only raises an alert."""

    BLOCK = "block"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One question to the evidence: does the whole interval of a metric lie on the good side of a limit?"""

    metric: str
    limit: float
    greater_is_better: bool
    method: str | None = None
    per_class: bool = False
    every_class: bool = True
    times_chance: float | None = None
    severity: Severity = Severity.BLOCK

    def among(self, num_classes: int) -> "Rule":
        """The rule as it is for a model of so many classes."""
        if self.times_chance is None:
            return self
        return replace(self, limit=min(self.limit, self.times_chance / num_classes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """An entry of the policy, in the vocabulary of `mlflow.models.MetricThreshold`; with both limits, two rules."""

    __pydantic_config__ = {"extra": "forbid", "use_attribute_docstrings": True}  # noqa: RUF012 - read by pydantic

    metric: str
    """Name of a metric summary, for example `accuracy`, `pair_contrast` or `confidence_drop_50_vs_random`."""
    greater_is_better: bool
    """True: the interval must lie above `limit`; false: below it."""
    limit: float | None = None
    """The value that the whole confidence interval must clear."""
    allowed_regression: float | None = None
    """By how much, at most, the metric may be worse than the baseline's on the same images (non-inferiority margin); no
    rule while no version holds the alias."""
    method: str | None = None
    """Saliency method; `gate` stands for the policy's gate method; omit it for metrics of the model itself."""
    per_class: bool = False
    """Judge every class by itself instead of all images together."""
    every_class: bool = True
    """False, for `recall` alone: a class of fewer than `min_class_samples` images withholds nothing, if others can be
    judged."""
    times_chance: float | None = None
    """For `recall` alone: `limit` is this many times 1 / number of classes where that is less, so that it can be met by
    a model of hundreds of classes."""
    severity: Severity = Severity.BLOCK
    """`block` withholds promotion, `warn` only raises an alert."""

    def __post_init__(self) -> None:
        limits = (self.limit, self.allowed_regression)
        expect(any(x is not None for x in limits), "limit", "a number, here or in allowed_regression", None)
        allowed = self.allowed_regression
        expect(allowed is None or allowed >= 0, "allowed_regression", "0 or more", allowed)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """What is judged: the metric against the limit, its difference from the baseline against the margin."""
        limits: list[tuple[str, float, float | None]] = []
        if self.limit is not None:
            limits.append((self.metric, self.limit, self.times_chance))
        if self.allowed_regression is not None:
            margin = -self.allowed_regression if self.greater_is_better else self.allowed_regression
            limits.append((vs_baseline(self.metric), margin, None))
        return tuple(
            Rule(
                metric=metric,
                limit=limit,
                greater_is_better=self.greater_is_better,
                method=self.method,
                per_class=self.per_class,
                every_class=self.every_class,
                times_chance=times_chance,
                severity=self.severity,
            )
            for metric, limit, times_chance in limits
        )


def vs_baseline(metric: str) -> str:
    """Name of the difference of a metric from the baseline's."""
    return f"{metric}_vs_baseline"


CLASS_SPECIFIC = 0.85
"""Pair contrast of maps that know which class they explain: healthy networks have 0.93 to 1, shared attention 0.81 at
most."""

UNKNOWN_CLASS, TIMES_CHANCE = 0.25, 5.0
"""Recall of a class that a model does not know: no more than this, or than so many times what guessing gives where that
is less."""

ONE_PLACE, ONE_PLACE_OF_CLASS = 0.4, 0.65
"""Position of a model that looks at one place, in all images and in those of a class."""

CONTRAST_THRESHOLDS = (
    Threshold(metric="skill", limit=0.25, greater_is_better=True),
    Threshold(
        metric="recall",
        per_class=True,
        limit=UNKNOWN_CLASS,
        times_chance=TIMES_CHANCE,
        greater_is_better=True,
        every_class=False,
    ),
    Threshold(metric="logit_difference", limit=0.01, greater_is_better=False),
    Threshold(metric="pair_contrast", limit=CLASS_SPECIFIC, allowed_regression=0.1, greater_is_better=True),
    Threshold(metric="shown_contrast", method="gate", limit=0.5, greater_is_better=True),
    Threshold(metric="fidelity_dz", method="gate", limit=0.3, greater_is_better=True),
    Threshold(metric="agreement_degenerate_rate", method="gate", limit=0.2, greater_is_better=False),
    Threshold(metric="accuracy", allowed_regression=0.03, greater_is_better=True),
    Threshold(metric="recall", per_class=True, allowed_regression=0.1, greater_is_better=True, severity=Severity.WARN),
    Threshold(
        metric="shown_contrast",
        method="gate",
        allowed_regression=0.15,
        greater_is_better=True,
        severity=Severity.WARN,
    ),
    Threshold(metric="agreement_median", method="gate", limit=0.5, greater_is_better=False, severity=Severity.WARN),
    Threshold(metric="position", limit=ONE_PLACE, greater_is_better=False, severity=Severity.WARN),
    Threshold(
        metric="position",
        per_class=True,
        limit=ONE_PLACE_OF_CLASS,
        greater_is_better=False,
        severity=Severity.WARN,
    ),
)
"""A model that has learned every class and is a function of the image; maps that exist, know which class they explain
and matter to it; and nothing that is worse than what is in production."""

PAPER_THRESHOLDS = (
    Threshold(metric="agreement_median", method="gate", limit=0.5, allowed_regression=0.2, greater_is_better=False),
    Threshold(metric="agreement_degenerate_rate", method="gate", limit=0.2, greater_is_better=False),
    Threshold(metric="confidence_drop_5_vs_random", method="gate", limit=0.0, greater_is_better=True),
    Threshold(metric="skill", limit=0.0, greater_is_better=True),
    Threshold(metric="accuracy", allowed_regression=0.03, greater_is_better=True),
    Threshold(
        metric="recall",
        per_class=True,
        limit=0.5,
        allowed_regression=0.1,
        greater_is_better=True,
        severity=Severity.WARN,
    ),
)
"""What the paper asks of maps: the first and the second class's differ, exist, and matter more than random pixels."""

DEFAULT_THRESHOLDS = CONTRAST_THRESHOLDS
RULES_BY_WORD = {"contrast": CONTRAST_THRESHOLDS, "paper": PAPER_THRESHOLDS}
"""Rules that a configuration need not spell out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When a version may be promoted."""

    __pydantic_config__ = {"extra": "forbid", "use_attribute_docstrings": True}  # noqa: RUF012 - read by pydantic

    gate_method: str = "case"
    """The saliency method whose maps the team shows to people; the gate judges this one."""
    min_samples: int = 100
    """Fewer images with a defined score than this are insufficient, whatever they say."""
    min_class_samples: int = 20
    """The same for rules per class, and for the images of the class."""
    max_undefined: float = 0.5
    """A figure of which a larger share of its images has no score is insufficient, whatever the others say."""
    confidence_level: float = 0.95
    """Of every confidence interval; at least 0.5, below which an interval misses the truth more often than not."""
    false_block_budget: float = 0.05
    """Share of the evaluations of an unchanged healthy model that may fail: the level of all blocking rules together
    (Holm), and the false discovery rate of alerts per class."""
    in_control_run_length: int = 365
    """On new data, a healthy version in production raises one false alarm in so many checks at most, on average."""
    max_age_days: float | None = None
    """Evidence that was stored longer ago is not used again: the version, or its baseline, is measured anew."""
    thresholds: tuple[Threshold, ...] = DEFAULT_THRESHOLDS
    """The rules; every `block` rule must pass. The words `contrast` and `paper` stand for those of the README."""

    def __post_init__(self) -> None:
        expect(self.min_samples >= 1, "min_samples", "1 or more", self.min_samples)
        expect(self.min_class_samples >= 1, "min_class_samples", "1 or more", self.min_class_samples)
        undefined, level = self.max_undefined, self.confidence_level
        expect(0 < undefined < 1, "max_undefined", "a number between 0 and 1", undefined)
        expect(0.5 <= level < 1, "confidence_level", "a number from 0.5 and below 1", level)
        budget = self.false_block_budget
        expect(0 < budget < 1, "false_block_budget", "a number between 0 and 1", budget)
        length = self.in_control_run_length
        expect(length >= 2, "in_control_run_length", "2 or more", length)
        age = self.max_age_days
        expect(age is None or 0 < age < math.inf, "max_age_days", "a number above 0", age)

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All rules, in the order of the thresholds."""
        return tuple(rule for threshold in self.thresholds for rule in threshold.rules)

    def method_of(self, rule: Rule) -> str:
        """The saliency method that a rule is about; "" for metrics of the model itself."""
        return self.gate_method if rule.method == GATE_METHOD else rule.method or ""
