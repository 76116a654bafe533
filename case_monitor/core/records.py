"""What flows through the system: frozen records that every stage reads and none changes."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from case_monitor.core.policy import Policy, Rule, Severity
from case_monitor.core.protocol import Protocol

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
EvaluationKey = tuple[str, int, str, str, str, str, str]
"""Model name, version, and digests of model, split, protocol, policy and baseline ("" for none)."""

UNDEFINED = float("nan")


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
    """A validation split as one version sees it: in its order of classes, and prepared as it wants.

    Attributes:
        name: for people.
        digest: SHA-256 of images, targets, class names and preprocessing.
        class_names: in the order of the version's logits.
        size: distinct images.
        images_digest: SHA-256 of the images as stored, whichever version looks at them.
        labels_digest: SHA-256 of the class of each by name.
        field_of_view: what part of an image preprocessing leaves. Maps can be laid over each other where it is equal.
        notes: what is to be said about the images whenever they are the evidence.
    """

    name: str
    digest: str
    class_names: tuple[str, ...]
    size: int
    images_digest: str = ""
    labels_digest: str = ""
    field_of_view: str = "whole"
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """Logits of a model on some images: a shard of a split, or a sample of it.

    Attributes:
        sample_ids: (N,) stable names of the images.
        logits: (N, C) float32, before softmax.
        target: (N,) true class indices.
    """

    sample_ids: tuple[str, ...]
    logits: npt.NDArray[np.float32]
    target: IntArray

    @property
    def defined(self) -> npt.NDArray[np.bool_]:
        """(N,) whether all logits of an image are finite; the others have no prediction."""
        return np.asarray(np.isfinite(self.logits).all(axis=1))

    @property
    def preds(self) -> IntArray:
        """(N,) predicted class indices; -1, which is no class, where logits are NaN or infinite."""
        return np.where(self.defined, self.logits.argmax(axis=1), -1).astype(np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictedClasses:
    """What a model predicts for a split, in the split's order: all that is kept of the logits of a large one.

    Attributes:
        sample_ids: (N,) stable names of the images.
        target: (N,) true class indices.
        preds: (N,) predicted class indices; -1, which is no class, where logits are NaN or infinite.
        confidence: (N,) softmax probability of the predicted class.
    """

    sample_ids: tuple[str, ...]
    target: IntArray
    preds: IntArray
    confidence: FloatArray

    @property
    def defined(self) -> npt.NDArray[np.bool_]:
        """(N,) whether all logits of an image are finite."""
        return np.asarray(self.preds >= 0)


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
        broken_passes: (n,) maps and passes over the image, masked or not, in which the model gave NaN or infinity;
            None: in none of any image.
    """

    sample_ids: tuple[str, ...]
    target: IntArray
    top2: IntArray
    confidence: FloatArray
    values: Mapping[tuple[str, str], FloatArray]
    broken_passes: IntArray | None = None

    @property
    def broken(self) -> npt.NDArray[np.bool_]:
        """(n,) whether the model gave NaN or infinity in a pass over the image."""
        if self.broken_passes is None:
            return np.zeros(len(self.sample_ids), dtype=np.bool_)
        return np.asarray(self.broken_passes > 0)

    @property
    def methods(self) -> tuple[str, ...]:
        """The saliency methods, in the order evaluated."""
        return tuple(dict.fromkeys(method for method, _ in self.values))


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricSummary:
    """One figure with its uncertainty. `class_idx` None means over all classes.

    `p_value` and `effect_size` belong to the test named in `test`; `p_adjusted` is Holm's over the methods, or
    Benjamini and Hochberg's over the classes. Without a test, `effect_size` is as docs/method.md says for the metric.
    `undefined_because` says why `n_undefined` images have no score.
    """

    metric: str
    method: str
    class_idx: int | None = None
    value: float
    n: int
    n_undefined: int = 0
    undefined_because: str | None = None
    ci_low: float = UNDEFINED
    ci_high: float = UNDEFINED
    sd: float = UNDEFINED
    p_value: float = UNDEFINED
    p_adjusted: float = UNDEFINED
    effect_size: float = UNDEFINED
    test: str | None = None


class Status(StrEnum):
    """Outcome of a threshold and of a whole verdict."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    INSUFFICIENT = "insufficient"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something a person should look at: what was observed, against what, what it means, what to do.

    `observed` and `limit` are NaN where the alert is not about a number.
    """

    rule: str
    method: str | None
    class_idx: int | None
    severity: Severity
    status: Status
    observed: float
    limit: float
    message: str
    advice: str


class LayerSource(StrEnum):
    """Who chose the target layer: this package, the team's configuration, or the model's author in its metadata."""

    AUTO = "auto"
    CONFIGURATION = "configuration"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What is needed to reproduce the numbers."""

    protocol: Protocol
    protocol_digest: str
    policy_digest: str
    target_layer: str
    layer_source: LayerSource = LayerSource.AUTO
    device: str
    torch_version: str
    package_version: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """Everything that was found out about one model version on one split.

    `in_production`: the version held the alias, and was judged as `policy.in_control_run_length` says.
    `looked_at` names what was asked besides the policy's rules, and would be among `alerts` if there were reason to.
    """

    model: ModelVersion
    split: Split
    baseline: ModelVersion | None
    policy: Policy
    provenance: Provenance
    preds: PredictedClasses
    confmat: ConfusionMatrix
    class_metrics: tuple[ClassMetrics, ...]
    contrast_sets: ContrastSets
    scores: SampleScores
    summaries: tuple[MetricSummary, ...]
    verdict: Verdict
    alerts: tuple[Alert, ...]
    in_production: bool = False
    looked_at: frozenset[str] = frozenset()
    duration_s: float

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the split."""
        return self.split.class_names

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
    OVERRIDDEN = "overridden"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promotion:
    """One entry of the audit log: which alias, from which version to which, on whose evidence.

    `decided_by` and `valid_until` are of an override, which a person answers for.
    """

    model_name: str
    alias: str
    version: int
    previous_version: int | None
    decision: Decision
    evaluation_id: int
    reason: str
    decided_by: str | None = None
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Gallery:
    """A few explained images for people to look at: some of every class, then those whose maps agree most.

    Attributes:
        sample_ids: (g,) names.
        images: (g, H, W, 3) uint8, as a person would see them.
        target, top2: (g,) class indices.
        maps: method -> (g, 2, H, W) float32, non-negative, for the top-1 and the top-2 class.
        worst: how many of the images, at the end, are there because their maps agree most, the worst first.
    """

    sample_ids: tuple[str, ...]
    images: npt.NDArray[np.uint8]
    target: IntArray
    top2: IntArray
    maps: Mapping[str, npt.NDArray[np.float32]]
    worst: int = 0

    @property
    def by_class(self) -> "Gallery":
        """The images that were chosen by their class alone, without looking at their maps."""
        first = slice(len(self.sample_ids) - self.worst)
        return Gallery(
            sample_ids=self.sample_ids[first],
            images=self.images[first],
            target=self.target[first],
            top2=self.top2[first],
            maps={method: maps[first] for method, maps in self.maps.items()},
        )

    @classmethod
    def empty(cls, methods: tuple[str, ...] = ()) -> "Gallery":
        """Nothing to look at."""
        none = np.empty(0, dtype=np.int64)
        maps = dict.fromkeys(methods, np.empty((0, 2, 1, 1), dtype=np.float32))
        return cls(sample_ids=(), images=np.empty((0, 1, 1, 3), dtype=np.uint8), target=none, top2=none, maps=maps)
