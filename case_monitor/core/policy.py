"""When a version may be promoted: the rules that a release manager sets."""

from dataclasses import dataclass
from enum import StrEnum

from case_monitor.core.errors import expect


class Severity(StrEnum):
    """`block` withholds promotion; `warn` only raises an alert."""

    BLOCK = "block"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """One rule of the policy, in the vocabulary of `mlflow.models.MetricThreshold`."""

    __pydantic_config__ = {"extra": "forbid", "use_attribute_docstrings": True}  # noqa: RUF012 - read by pydantic

    metric: str
    """Name of a metric summary, for example `accuracy`, `agreement_median` or `confidence_drop_50_vs_random`."""
    limit: float
    """The value that the whole confidence interval must clear."""
    greater_is_better: bool
    """True: the interval must lie above `limit`; false: below it."""
    method: str | None = None
    """Saliency method; `gate` stands for the policy's gate method; omit it for metrics of the model itself."""
    per_class: bool = False
    """Judge every class by itself instead of all images together."""
    severity: Severity = Severity.BLOCK
    """`block` withholds promotion, `warn` only raises an alert."""


DEFAULT_THRESHOLDS = (
    Threshold(metric="agreement_median", method="gate", limit=0.5, greater_is_better=False),
    Threshold(metric="agreement_degenerate_rate", method="gate", limit=0.2, greater_is_better=False),
    Threshold(metric="confidence_drop_5_vs_random", method="gate", limit=0.0, greater_is_better=True),
    Threshold(metric="accuracy_vs_baseline", limit=-0.03, greater_is_better=True),
    Threshold(metric="recall", per_class=True, limit=0.5, greater_is_better=True, severity=Severity.WARN),
)
"""Evidence must differ by class, exist, matter to the model, and not cost accuracy."""


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
    confidence_level: float = 0.95
    """Of every confidence interval."""
    thresholds: tuple[Threshold, ...] = DEFAULT_THRESHOLDS
    """The rules; every `block` rule must pass."""

    def __post_init__(self) -> None:
        expect(self.min_samples >= 1, "min_samples", "1 or more", self.min_samples)
        expect(self.min_class_samples >= 1, "min_class_samples", "1 or more", self.min_class_samples)
        level = self.confidence_level
        expect(0 < level < 1, "confidence_level", "a number between 0 and 1", level)
