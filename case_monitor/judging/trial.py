"""A version judged at one layer, beside the version in production."""

from dataclasses import dataclass

from case_monitor.domain.alert import Alert
from case_monitor.domain.confusion_matrix import ClassMetrics
from case_monitor.domain.evaluation import LayerSource
from case_monitor.domain.foreign_code import foreign_code
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Verdict
from case_monitor.judging.confusion import class_metrics
from case_monitor.judging.figures.between_versions import Measured, comparison_summaries
from case_monitor.judging.figures.of_one_version import explained_share, explanation_summaries, model_summaries
from case_monitor.judging.found import Found, drift, find
from case_monitor.judging.label_counts import require_label_figures
from case_monitor.judging.layers import AUTO, Look
from case_monitor.judging.measurer import Subject
from case_monitor.judging.occlusion_control import occlusion_control
from case_monitor.judging.pairing import in_classes_of
from case_monitor.judging.same_answers import same_answers
from case_monitor.judging.transplant import transplants
from case_monitor.judging.verdict import judge

_OWN = " at the layer of the model's metadata"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """A version at one layer. `base_measured` is in the candidate's order of classes."""

    found: Found
    base: Found | None
    base_measured: Measured | None
    classes: tuple[ClassMetrics, ...]
    summaries: tuple[MetricSummary, ...]
    verdict: Verdict
    alerts: tuple[Alert, ...]


class Trial:
    """Has versions measured at a layer, and judges; the baseline is measured once for each layer of its own."""

    def __init__(self, policy: Policy, protocol: Protocol, *, in_production: bool) -> None:
        self._policy, self._protocol, self._in_production = policy, protocol, in_production
        self._baselines: dict[str, Found] = {}

    def judged(self, candidate: Subject, baseline: Subject | None, look: Look) -> Judged:
        """Have both measured at a layer, and judge."""
        level = self._policy.confidence_level
        with foreign_code(f"model {candidate.version}"):
            of = _OWN if look.source is LayerSource.METADATA else ""
            found = find(candidate, look.layer, self._protocol, self._policy.gate_method, of=of)
            require_label_figures(self._policy, found.labels, candidate.split)
            same = same_answers(found.measurer, found.predicted, level, f"show again{of}")
            classes = class_metrics(found.predicted.confmat, found.predicted.active_channels, level)
            summaries = self._alone(found, classes, same)
            if self._asks("pair_contrast"):
                summaries += occlusion_control(found, summaries, self._protocol, level, f"explain by occlusion{of}")
            if self._asks("position"):
                summaries += transplants(found, summaries, level, f"transplant{of}")
        base = self._baseline(baseline, look) if baseline else None
        theirs = in_classes_of(base.measured, base.subject.split, found.measured, candidate.split) if base else None
        if base is not None and theirs is not None:
            summaries += self._beside(found, base, theirs)
        verdict, alerts = judge(
            candidate.version,
            summaries,
            self._policy,
            baseline=baseline.version if baseline else None,
            class_names=candidate.split.class_names,
            in_production=self._in_production,
        )
        return Judged(
            found=found,
            base=base,
            base_measured=theirs,
            classes=classes,
            summaries=summaries,
            verdict=verdict,
            alerts=alerts,
        )

    def _asks(self, metric: str) -> bool:
        """Whether a rule is about it: else nobody is told what a closer look finds."""
        return any(rule.metric == metric for rule in self._policy.rules)

    def _alone(
        self, found: Found, classes: tuple[ClassMetrics, ...], same: tuple[MetricSummary, ...]
    ) -> tuple[MetricSummary, ...]:
        policy, protocol = self._policy, self._protocol
        broken = int((~found.preds.defined).sum())
        return (
            *model_summaries(found.predicted.confmat, classes, broken, policy, protocol.seed, found.predicted.constant),
            *(found.labels.summaries(policy.confidence_level) if found.labels else ()),
            explained_share(found.scores, found.subject.split.size, protocol, policy),
            *explanation_summaries(found.scores, protocol, policy),
            *same,
        )

    def _beside(self, found: Found, base: Found, theirs: Measured) -> tuple[MetricSummary, ...]:
        with foreign_code(f"model {found.subject.version} or {base.subject.version}"):
            agreement = drift(found, base, self._protocol)
        level = self._policy.confidence_level
        return comparison_summaries(found.measured, theirs, agreement, self._protocol, level)

    def _baseline(self, baseline: Subject, look: Look) -> Found:
        """The baseline at the layer that goes with the look: like is compared with like."""
        own = look.source is LayerSource.METADATA and baseline.declared_layer
        layer = own or (look.layer if look.source is LayerSource.CONFIGURATION else AUTO)
        if layer not in self._baselines:
            with foreign_code(f"model {baseline.version}"):
                shown = self._policy.gate_method
                self._baselines[layer] = find(baseline, layer, self._protocol, shown, of=" baseline")
        return self._baselines[layer]


def auto_layer(subject: Subject) -> str:
    """What `auto` stands for."""
    with foreign_code(f"model {subject.version}"):
        return subject.measurer.at(AUTO).layer
