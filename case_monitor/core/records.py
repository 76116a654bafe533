"""What flows through the system: frozen records that every stage reads and none changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
EvaluationKey = tuple[str, int, str, str, str, str, str]
"""Model name, version, and digests of model, split, protocol, policy and baseline ("" for none)."""

UNDEFINED = float("nan")


def _expect(condition: bool, field: str, expected: str, came: object) -> None:
    if not condition:
        msg = f"{field}: {expected} was expected, {came!r} came"
        raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelVersion:
    """One registered version. `digest` is the SHA-256 of its artifact files, so a changed artifact is seen."""

    name: str
    version: int
    run_id: str | None
    digest: str

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """A validation split. `digest` covers images, targets, class names and preprocessing."""

    name: str
    digest: str
    class_names: tuple[str, ...]
    size: int

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Logits of a model on a split, in the split's order.

    Attributes:
        sample_ids: (N,) stable names of the images.
        logits: (N, C) float32, before softmax.
        target: (N,) true class indices.
    """

    sample_ids: tuple[str, ...]
    logits: npt.NDArray[np.float32]
    target: IntArray

    @property
    def preds(self) -> IntArray:
        """(N,) predicted class indices."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ConfusionMatrix:
    """`counts` (C, C), rows true, columns predicted; `soft` (C, C): mean softmax probability per true class.

    A row of `soft` whose class has no image is NaN.
    """

    counts: IntArray
    soft: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMetrics:
    """Quality of one class. Undefined values (no image, nothing predicted) are NaN, never 0."""

    class_idx: int
    support: int
    precision: float
    recall: float
    f1: float
    recall_ci_low: float
    recall_ci_high: float
    active_channels: float


class ContrastSource(StrEnum):
    """Where a member of a contrast set comes from."""

    OBSERVED = "observed"
    SOFT = "soft"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastMember:
    """Class `class_idx`, confused with `target_class`; `weight` is the soft confusion P[u, v]."""

    target_class: int
    rank: int
    class_idx: int
    source: ContrastSource
    count: int
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ContrastSets:
    """V(u) of every class u, in rank order.

    `unseen` lists the classes without a validation image: their contrast is chosen per image, by the highest
    other logits. A class that is not unseen and has no member was never confused: its CASE is Grad-CAM.
    """

    contrast_k: int
    members: tuple[tuple[ContrastMember, ...], ...]
    unseen: tuple[int, ...] = ()

    def weights(self) -> dict[int, dict[int, float]]:
        """V(u) as {u: {v: M[u, v] + P[u, v]}}, without the unseen classes: what `saliency_maps` takes."""
        return {
            u: {m.class_idx: m.count + m.weight for m in members}
            for u, members in enumerate(self.members)
            if u not in self.unseen
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SampleScores:
    """Scores of the explained images: correctly classified ones, the same for every method.

    Attributes:
        sample_ids: (n,) stable names.
        target, top2: (n,) class indices; `target` is also the top-1 prediction.
        confidence: (n,) softmax probability of the top-1 class.
        values: (method, metric) -> (n,) float64; NaN where undefined (a degenerate map).
    """

    sample_ids: tuple[str, ...]
    target: IntArray
    top2: IntArray
    confidence: FloatArray
    values: Mapping[tuple[str, str], FloatArray]

    @property
    def methods(self) -> tuple[str, ...]:
        """The saliency methods, in the order evaluated."""
        return tuple(dict.fromkeys(method for method, _ in self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """One figure with its uncertainty. `class_idx` None means over all classes.

    `p_value` and `effect_size` belong to the test named in `test`; `p_adjusted` is Holm's over the methods.
    """

    metric: str
    method: str
    class_idx: int | None = None
    value: float
    n: int
    n_undefined: int = 0
    ci_low: float = UNDEFINED
    ci_high: float = UNDEFINED
    sd: float = UNDEFINED
    p_value: float = UNDEFINED
    p_adjusted: float = UNDEFINED
    effect_size: float = UNDEFINED
    test: str | None = None


class Severity(StrEnum):
    """`block` withholds promotion; `warn` only raises an alert."""

    BLOCK = "block"
    WARN = "warn"


class Status(StrEnum):
    """Outcome of a threshold and of a whole verdict."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    INSUFFICIENT = "insufficient"


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
        _expect(self.min_samples >= 1, "min_samples", "1 or more", self.min_samples)
        _expect(self.min_class_samples >= 1, "min_class_samples", "1 or more", self.min_class_samples)
        level = self.confidence_level
        _expect(0 < level < 1, "confidence_level", "a number between 0 and 1", level)


def drop_suffix(area: float, fill: str) -> str:
    """How a fidelity metric names its area and fill: (0.5, "mean") -> "50", (0.05, "blur") -> "5_blur"."""
    percent = f"{100 * area:g}"
    return percent if fill == "mean" else f"{percent}_{fill}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protocol:
    """How explanations are measured: everything beside model, split and policy that changes a number."""

    __pydantic_config__ = {"extra": "forbid", "use_attribute_docstrings": True}  # noqa: RUF012 - read by pydantic

    methods: tuple[str, ...] = ("case", "gradcam", "gradcam++", "scorecam", "ablationcam", "layercam")
    """Saliency methods to evaluate; `hirescam` is available too."""
    target_layer: str = "auto"
    """Dotted name of the module to explain; `auto` is the last one with spatial output before pooling."""
    sample_size: int = 500
    """Images drawn from the split; the correctly classified ones are explained."""
    contrast_k: int = 3
    """Size of a contrast set."""
    observed_only: bool = False
    """Use only classes that were in fact confused; never fill a contrast set by soft confusion."""
    areas: tuple[float, ...] = (0.5, 0.05)
    """Fractions of the pixels replaced in the fidelity test."""
    fills: tuple[str, ...] = ("mean",)
    """What replaces them: `mean` (0 in normalised space) or `blur`."""
    activity_threshold: float = 0.001
    """Tau: a channel is active when its pooled activation exceeds this (paper, eq. 10)."""
    batch_size: int = 32
    """Images per forward pass; changes speed and memory, and numbers only within float tolerance."""
    seed: int = 0
    """Of sampling, random maps and bootstrap."""

    def __post_init__(self) -> None:
        _expect(self.sample_size >= 1, "sample_size", "1 or more", self.sample_size)
        _expect(self.contrast_k >= 0, "contrast_k", "0 or more", self.contrast_k)
        _expect(self.batch_size >= 1, "batch_size", "1 or more", self.batch_size)
        _expect(self.seed >= 0, "seed", "0 or more", self.seed)
        _expect(self.activity_threshold >= 0, "activity_threshold", "0 or more", self.activity_threshold)
        _expect(all(0 < area <= 1 for area in self.areas), "areas", "fractions above 0 and up to 1", self.areas)
        _expect(set(self.fills) <= {"mean", "blur"}, "fills", "some of mean, blur", self.fills)

    @property
    def suffixes(self) -> tuple[str, ...]:
        """How metrics name each area and fill of the fidelity test."""
        return tuple(drop_suffix(area, fill) for area in self.areas for fill in self.fills)


@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdResult:
    """A threshold applied: what was observed, against which limit, with which outcome and why."""

    threshold: Threshold
    method: str | None
    class_idx: int | None
    status: Status
    observed: float
    ci_low: float
    ci_high: float
    n: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The gate's decision with the evidence for each rule. `sentence` says it in plain words."""

    status: Status
    sentence: str
    results: tuple[ThresholdResult, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a person should look at: what was observed, against what, what it means, what to do."""

    rule: str
    method: str | None
    class_idx: int | None
    severity: Severity
    status: Status
    observed: float
    limit: float
    message: str
    advice: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What is needed to reproduce the numbers."""

    protocol: Protocol
    protocol_digest: str
    policy_digest: str
    target_layer: str
    device: str
    torch_version: str
    package_version: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """Everything that was found out about one model version on one split."""

    model: ModelVersion
    split: Split
    baseline: ModelVersion | None
    policy: Policy
    provenance: Provenance
    preds: Predictions
    confmat: ConfusionMatrix
    class_metrics: tuple[ClassMetrics, ...]
    contrast_sets: ContrastSets
    scores: SampleScores
    summaries: tuple[MetricSummary, ...]
    verdict: Verdict
    alerts: tuple[Alert, ...]
    duration_s: float

    @property
    def key(self) -> EvaluationKey:
        """The natural key: the same key is the same evaluation, run again."""
        return (
            self.model.name,
            self.model.version,
            self.model.digest,
            self.split.digest,
            self.provenance.protocol_digest,
            self.provenance.policy_digest,
            self.baseline.digest if self.baseline else "",
        )

    def summary(self, metric: str, method: str = "") -> MetricSummary | None:
        """The overall summary of `metric` for `method` ('' for metrics of the model itself), if there is one."""
        matches = (s for s in self.summaries if (s.metric, s.method, s.class_idx) == (metric, method, None))
        return next(matches, None)


class Decision(StrEnum):
    """What the gate did with the alias."""

    PROMOTED = "promoted"
    WITHHELD = "withheld"
    KEPT = "kept"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One entry of the audit log: which alias, from which version to which, on whose evidence."""

    model_name: str
    alias: str
    version: int
    previous_version: int | None
    decision: Decision
    evaluation_id: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gallery:
    """A few explained images for people to look at.

    Attributes:
        sample_ids: (g,) names.
        images: (g, H, W, 3) uint8, as a person would see them.
        target, top2: (g,) class indices.
        maps: method -> (g, 2, H, W) float32, non-negative, for the top-1 and the top-2 class.
    """

    sample_ids: tuple[str, ...]
    images: npt.NDArray[np.uint8]
    target: IntArray
    top2: IntArray
    maps: Mapping[str, npt.NDArray[np.float32]]
