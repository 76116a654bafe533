"""Everything that was found out about one version."""

from dataclasses import dataclass
from enum import StrEnum

from case_monitor.domain.alert import Alert
from case_monitor.domain.confusion_matrix import ClassMetrics, ConfusionMatrix
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.predictions import PredictedClasses
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.split import Split
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Verdict

EvaluationKey = tuple[str, int, str, str, str, str, str]
"""Model name, version, and digests of model, split, protocol, policy and baseline ("" for none)."""


class LayerSource(StrEnum):
    """Who chose the target layer: this package, the team's configuration, or the model's author in its metadata."""

    AUTO = "auto"
    CONFIGURATION = "configuration"
    METADATA = "metadata"


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """What is needed to reproduce the numbers.

    `isolation` is how far the model was shut in: `confined` or `process`; None: it ran in the process that judged it.
    """

    protocol: Protocol
    protocol_digest: str
    policy_digest: str
    target_layer: str
    layer_source: LayerSource = LayerSource.AUTO
    device: str
    torch_version: str
    package_version: str
    isolation: str | None = None


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
