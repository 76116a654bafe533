"""The whole measurement of one model version, pure: model and images in, `Evaluation` and a gallery out."""

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from typing import Any

import torch
from torch import nn

import case_monitor
from case_monitor.core.comparison import Measured, comparison_summaries
from case_monitor.core.confusion import class_metrics
from case_monitor.core.engine import Engine
from case_monitor.core.errors import DataError
from case_monitor.core.foreign_code import foreign_code
from case_monitor.core.layers import AUTO, Look, layer_notes, looks, worse_of
from case_monitor.core.pairing import in_classes_of, require_same_classes
from case_monitor.core.passes import IN_TURN, Found, Passes
from case_monitor.core.policy import Policy
from case_monitor.core.policy_check import check_policy
from case_monitor.core.predictions import ImageSource, Progress, no_progress
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import (
    Alert,
    ClassMetrics,
    Evaluation,
    EvaluationKey,
    Gallery,
    LayerSource,
    MetricSummary,
    ModelVersion,
    PredictedClasses,
    Provenance,
    SampleScores,
    Split,
    Verdict,
)
from case_monitor.core.setup import Setup
from case_monitor.core.shards import DEFAULT_SHARD_SIZE
from case_monitor.core.standing_alerts import ARTIFACT, artifact_alert
from case_monitor.core.summary import explained_share, explanation_summaries, model_summaries
from case_monitor.core.verdict import judge

FIGURES = 2
"""Raised whenever the same model, images, protocol and policy give another figure or verdict than the release before:
a formula, a default that no setting names, a rule of the verdict. Not for speed, words or pictures. What is stored
under another number is evaluated again, and compared with nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedVersion:
    """A loaded version, and the images as it wants them.

    Attributes:
        version: its identity.
        model: itself.
        split: the images' identity, in the version's own order of classes.
        source: the images, prepared as the version wants them.
        declared_layer: the target layer that its metadata names.
        scores: what is stored of it for the same images and protocol, by layer; it is not explained anew.
    """

    version: ModelVersion
    model: nn.Module
    split: Split
    source: ImageSource
    declared_layer: str | None = None
    scores: Mapping[str, SampleScores] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The evaluation, the pictures to show with it, and the baseline's predictions on the same images."""

    evaluation: Evaluation
    gallery: Gallery
    baseline_preds: PredictedClasses | None


def evaluate(
    candidate: LoadedVersion,
    baseline: LoadedVersion | None,
    *,
    policy: Policy,
    protocol: Protocol,
    device: str = "cpu",
    progress: Progress = no_progress,
    in_production: bool = False,
    first_digest: str | None = None,
    notes: Sequence[str] = (),
    engine: Engine = IN_TURN,
    shard_size: int = DEFAULT_SHARD_SIZE,
) -> Findings:
    """Predict, explain, test and judge.

    Args:
        candidate: the version to judge.
        baseline: the version in production, or None. Its images are the same, prepared as it wants them.
        policy: when to pass.
        protocol: how to measure.
        device: torch device, to which the models are moved where they run.
        progress: called as work goes on.
        in_production: the candidate holds the alias; it fails only within the budget of false alarms over time.
        first_digest: of the candidate's artifact when it was first evaluated, if it was.
        notes: what else is to be said with the verdict.
        engine: where shards of the split are worked on; without one here, one after the other.
        shard_size: images in a shard. No number depends on it.

    Raises:
        ConfigError: the policy cannot be judged under this protocol.
        DataError: no images, or fewer than two classes, or classes that cannot be paired with the baseline's.
        ModelError: the model does not fit the data set.
    """
    check_policy(policy, protocol)
    split = candidate.split
    _require_images(split)
    if baseline is not None:
        require_same_classes(candidate.version, split, baseline.version, baseline.split)
    started = time.perf_counter()
    work = _Work(policy, protocol, device, progress, engine, shard_size, in_production=in_production)
    taken = looks(protocol.target_layer, candidate.declared_layer, lambda: work.auto_layer(candidate))
    judged = [work.judged(candidate, baseline, look) for look in taken]
    chosen = worse_of([j.verdict for j in judged])
    found, base = judged[chosen].found, judged[chosen].base
    production = (str(baseline.version), base.explained.layer) if baseline and base else None
    layers = [j.found.explained.layer for j in judged]
    of_layers = layer_notes(taken, layers, [j.verdict for j in judged], chosen, production)
    changed = artifact_alert(candidate.version, first_digest)
    evaluation = Evaluation(
        model=candidate.version,
        split=split,
        baseline=baseline.version if baseline else None,
        policy=policy,
        provenance=_provenance(policy, protocol, taken[chosen].source, found.explained.layer, device),
        preds=found.preds,
        confmat=found.predicted.confmat,
        class_metrics=judged[chosen].classes,
        contrast_sets=found.contrasts,
        scores=found.scores,
        summaries=judged[chosen].summaries,
        verdict=replace(judged[chosen].verdict, notes=(*of_layers, *split.notes, *notes)),
        alerts=(*judged[chosen].alerts, *([changed] if changed else [])),
        in_production=in_production,
        looked_at=frozenset({ARTIFACT}),
        duration_s=time.perf_counter() - started,
    )
    base_preds = judged[chosen].base_measured
    return Findings(
        evaluation=evaluation, gallery=found.gallery, baseline_preds=base_preds.preds if base_preds else None
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Judged:
    """A version at one layer. `base_measured` is in the candidate's order of classes."""

    found: Found
    base: Found | None
    base_measured: Measured | None
    classes: tuple[ClassMetrics, ...]
    summaries: tuple[MetricSummary, ...]
    verdict: Verdict
    alerts: tuple[Alert, ...]


class _Work:
    """Measures and judges a version at a layer; the baseline once for each of its own."""

    def __init__(
        self,
        policy: Policy,
        protocol: Protocol,
        device: str,
        progress: Progress,
        engine: Engine,
        shard_size: int,
        *,
        in_production: bool,
    ) -> None:
        self._policy, self._protocol, self._device, self._progress = policy, protocol, device, progress
        self._engine, self._shard_size, self._in_production = engine, shard_size, in_production
        self._baselines: dict[str, Found] = {}

    def auto_layer(self, version: LoadedVersion) -> str:
        """What `auto` stands for."""
        with foreign_code(f"model {version.version}"):
            return self._passes(version).survey(version.model, AUTO).layer

    def judged(self, candidate: LoadedVersion, baseline: LoadedVersion | None, look: Look) -> _Judged:
        """Measure both at a layer, and judge."""
        policy, protocol, level = self._policy, self._protocol, self._policy.confidence_level
        passes = self._passes(candidate)
        with foreign_code(f"model {candidate.version}"):
            of = _OWN if look.source is LayerSource.METADATA else ""
            found = passes.measure(candidate.model, look.layer, of=of)
        confmat = found.predicted.confmat
        classes = class_metrics(confmat, found.predicted.active_channels, level)
        broken = int((~found.preds.defined).sum())
        summaries = model_summaries(confmat, classes, broken, policy, protocol.seed)
        summaries += (explained_share(found.scores, candidate.split.size, protocol, policy),)
        summaries += explanation_summaries(found.scores, protocol, policy)
        base = self._baseline(baseline, look) if baseline else None
        theirs = None
        if base is not None and baseline is not None:
            theirs = in_classes_of(base.measured, baseline.split, found.measured, candidate.split)
            with foreign_code(f"model {candidate.version} or {baseline.version}"):
                drift = passes.drift(found, base)
            summaries += comparison_summaries(found.measured, theirs, drift, protocol, level)
        verdict, alerts = judge(
            candidate.version,
            summaries,
            policy,
            baseline=baseline.version if baseline else None,
            class_names=candidate.split.class_names,
            in_production=self._in_production,
        )
        return _Judged(
            found=found,
            base=base,
            base_measured=theirs,
            classes=classes,
            summaries=summaries,
            verdict=verdict,
            alerts=alerts,
        )

    def _baseline(self, baseline: LoadedVersion, look: Look) -> Found:
        """The baseline at the layer that goes with the look: like is compared with like."""
        own = look.source is LayerSource.METADATA and baseline.declared_layer
        layer = own or (look.layer if look.source is LayerSource.CONFIGURATION else AUTO)
        if layer not in self._baselines:
            passes = self._passes(baseline)
            with foreign_code(f"model {baseline.version}"):
                self._baselines[layer] = passes.measure(baseline.model, layer, baseline.scores, of=" baseline")
        return self._baselines[layer]

    def _passes(self, version: LoadedVersion) -> Passes:
        setup = Setup(split=version.split, source=version.source, protocol=self._protocol, device=self._device)
        return Passes(setup, self._progress, self._engine, self._shard_size)


_OWN = " at the layer of the model's metadata"


def _require_images(split: Split) -> None:
    if not split.size or split.num_classes < 2:
        msg = (
            f"split {split.name!r}: images of two or more classes were expected, "
            f"{split.size} of {split.num_classes} came"
        )
        raise DataError(msg)


def digest(record: Any) -> str:
    """SHA-256 of a record's fields, in a canonical form."""
    data = asdict(record) if is_dataclass(record) and not isinstance(record, type) else record
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def protocol_digest(protocol: Protocol) -> str:
    """Of everything beside model, split and policy that makes a figure: the protocol, this code, and torch's."""
    return digest([asdict(protocol), FIGURES, str(torch.__version__).partition(".")[0]])


def evaluation_key(
    model: ModelVersion, split: Split, baseline: ModelVersion | None, policy: Policy, protocol: Protocol
) -> EvaluationKey:
    """The natural key that an evaluation of these would have: the same key is the same evaluation, run again."""
    return (
        model.name,
        model.version,
        model.digest,
        split.digest,
        protocol_digest(protocol),
        digest(policy),
        baseline.digest if baseline else "",
    )


def _provenance(policy: Policy, protocol: Protocol, source: LayerSource, layer: str, device: str) -> Provenance:
    return Provenance(
        protocol=protocol,
        protocol_digest=protocol_digest(protocol),
        policy_digest=digest(policy),
        target_layer=layer,
        layer_source=source,
        device=device,
        torch_version=torch.__version__,
        package_version=case_monitor.__version__,
    )
