"""The whole measurement of one model version, pure: model and images in, `Evaluation` and a gallery out."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import torch
from torch import nn

import case_monitor
from case_monitor.core.comparison import comparison_summaries
from case_monitor.core.confusion import class_metrics
from case_monitor.core.engine import Engine
from case_monitor.core.errors import DataError
from case_monitor.core.foreign_code import foreign_code
from case_monitor.core.passes import IN_TURN, Found, Passes
from case_monitor.core.policy import Policy
from case_monitor.core.predictions import ImageSource, Progress, no_progress
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import (
    Evaluation,
    EvaluationKey,
    Gallery,
    ModelVersion,
    PredictedClasses,
    Provenance,
    SampleScores,
    Split,
)
from case_monitor.core.setup import Setup
from case_monitor.core.shards import DEFAULT_SHARD_SIZE
from case_monitor.core.standing_alerts import ARTIFACT, artifact_alert
from case_monitor.core.summary import explanation_summaries, model_summaries
from case_monitor.core.verdict import check_policy, judge

FIGURES = 2
"""Raised whenever the same model, images, protocol and policy give another figure or verdict than the release before:
a formula, a default that no setting names, a rule of the verdict. Not for speed, words or pictures. What is stored
under another number is evaluated again, and compared with nothing new."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A loaded model with its identity."""

    version: ModelVersion
    model: nn.Module


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """The loaded version in production.

    Attributes:
        version: its identity.
        model: itself.
        target_layer: what to explain of it, in place of the protocol's layer: another version may have others.
        scores: those that are stored of it for the same split and protocol; without them it is explained anew.
    """

    version: ModelVersion
    model: nn.Module
    target_layer: str = "auto"
    scores: SampleScores | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """The evaluation, the pictures to show with it, and the baseline's predictions on the same images."""

    evaluation: Evaluation
    gallery: Gallery
    baseline_preds: PredictedClasses | None


def evaluate(
    candidate: Candidate,
    baseline: Baseline | None,
    split: Split,
    source: ImageSource,
    *,
    policy: Policy,
    protocol: Protocol,
    device: str = "cpu",
    progress: Progress = no_progress,
    in_production: bool = False,
    first_digest: str | None = None,
    engine: Engine = IN_TURN,
    shard_size: int = DEFAULT_SHARD_SIZE,
) -> Findings:
    """Predict, explain, test and judge.

    Args:
        candidate: the version to judge.
        baseline: the version in production, or None.
        split: identity of the images.
        source: the images.
        policy: when to pass.
        protocol: how to measure.
        device: torch device, to which the models are moved where they run.
        progress: called as work goes on.
        in_production: the candidate holds the alias; it fails only within the budget of false alarms over time.
        first_digest: of the candidate's artifact when it was first evaluated, if it was.
        engine: where shards of the split are worked on; without one here, one after the other.
        shard_size: images in a shard. No number depends on it.

    Raises:
        ConfigError: the policy cannot be judged under this protocol.
        DataError: no images, or fewer than two classes.
        ModelError: the model does not fit the data set.
    """
    check_policy(policy, protocol)
    if not source.sample_ids or split.num_classes < 2:
        msg = (
            f"split {split.name!r}: images of two or more classes were expected, "
            f"{len(source.sample_ids)} of {split.num_classes} came"
        )
        raise DataError(msg)
    started = time.perf_counter()
    setup = Setup(split=split, source=source, protocol=protocol, device=device)
    run = Passes(setup, progress, engine, shard_size)
    with foreign_code(f"model {candidate.version}"):
        found = run.measure(candidate.model, protocol.target_layer)
    classes = class_metrics(found.predicted.confmat, found.predicted.active_channels, policy.confidence_level)
    preds, level = found.preds, policy.confidence_level
    broken = int((~preds.defined).sum())
    summaries = model_summaries(found.predicted.confmat, classes, broken, policy, protocol.seed)
    summaries += explanation_summaries(found.scores, protocol, policy)
    base = _measured_baseline(run, baseline) if baseline else None
    if baseline is not None and base is not None:
        with foreign_code(f"model {candidate.version} or {baseline.version}"):
            drift = run.drift(found, base)
        summaries += comparison_summaries(found.measured, base.measured, drift, protocol, level)
    verdict, alerts = judge(
        candidate.version,
        summaries,
        policy,
        baseline=baseline.version if baseline else None,
        class_names=split.class_names,
        in_production=in_production,
    )
    changed = artifact_alert(candidate.version, first_digest)
    evaluation = Evaluation(
        model=candidate.version,
        split=split,
        baseline=baseline.version if baseline else None,
        policy=policy,
        provenance=_provenance(policy, protocol, found.explained.layer, device),
        preds=preds,
        confmat=found.predicted.confmat,
        class_metrics=classes,
        contrast_sets=found.contrasts,
        scores=found.scores,
        summaries=summaries,
        verdict=verdict,
        alerts=(*alerts, *([changed] if changed else [])),
        in_production=in_production,
        looked_at=frozenset({ARTIFACT}),
        duration_s=time.perf_counter() - started,
    )
    return Findings(evaluation=evaluation, gallery=found.gallery, baseline_preds=base.preds if base else None)


def _measured_baseline(run: Passes, baseline: Baseline) -> Found:
    with foreign_code(f"model {baseline.version}"):
        return run.measure(baseline.model, baseline.target_layer, baseline.scores, of=" baseline")


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


def _provenance(policy: Policy, protocol: Protocol, layer: str, device: str) -> Provenance:
    return Provenance(
        protocol=protocol,
        protocol_digest=protocol_digest(protocol),
        policy_digest=digest(policy),
        target_layer=layer,
        device=device,
        torch_version=torch.__version__,
        package_version=case_monitor.__version__,
    )
