"""The whole measurement of one model version, pure: model and images in, `Evaluation` and a gallery out."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

import case_monitor
from case_monitor.core.channels import ChannelActivity, mean_active_channels
from case_monitor.core.comparison import Measured, comparison_summaries
from case_monitor.core.confusion import class_metrics, confusion_matrix
from case_monitor.core.contrast import contrast_sets
from case_monitor.core.drift import Explained, map_agreement
from case_monitor.core.errors import DataError
from case_monitor.core.explanation import Explainer, sample_indices
from case_monitor.core.policy import Policy
from case_monitor.core.predictions import ImageSource, Progress, no_progress, predict
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import (
    ConfusionMatrix,
    ContrastSets,
    Evaluation,
    EvaluationKey,
    FloatArray,
    Gallery,
    ModelVersion,
    Predictions,
    Provenance,
    SampleScores,
    Split,
)
from case_monitor.core.saliency import (
    batch_size_for,
    fast_weights,
    find_target_layer,
    inspecting,
    logits_of,
    tap_layer,
)
from case_monitor.core.summary import explanation_summaries, model_summaries
from case_monitor.core.verdict import check_policy, judge


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
    baseline_preds: Predictions | None


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
) -> Findings:
    """Predict, explain, test and judge.

    Args:
        candidate: the version to judge.
        baseline: the version in production, or None.
        split: identity of the images.
        source: the images.
        policy: when to pass.
        protocol: how to measure.
        device: torch device.
        progress: called as work goes on.

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
    run = _Run(split, source, protocol, device, progress)
    found = run.measure(candidate.model, protocol.target_layer)
    classes = class_metrics(found.confmat, found.active_channels, policy.confidence_level)
    preds, level = found.preds, policy.confidence_level
    broken = int((~preds.defined).sum())
    summaries = model_summaries(found.confmat, classes, broken, policy, protocol.seed)
    summaries += explanation_summaries(found.scores, protocol, policy)
    base = run.measure(baseline.model, baseline.target_layer, baseline.scores, of=" baseline") if baseline else None
    if base is not None:
        drift = run.drift(found, base)
        summaries += comparison_summaries(found.measured, base.measured, drift, protocol, level)
    verdict, alerts = judge(
        candidate.version,
        summaries,
        policy,
        baseline=baseline.version if baseline else None,
        class_names=split.class_names,
    )
    evaluation = Evaluation(
        model=candidate.version,
        split=split,
        baseline=baseline.version if baseline else None,
        policy=policy,
        provenance=_provenance(policy, protocol, found.explained.layer, device),
        preds=preds,
        confmat=found.confmat,
        class_metrics=classes,
        contrast_sets=found.contrasts,
        scores=found.scores,
        summaries=summaries,
        verdict=verdict,
        alerts=alerts,
        duration_s=time.perf_counter() - started,
    )
    return Findings(evaluation=evaluation, gallery=found.gallery, baseline_preds=base.preds if base else None)


def digest(record: Any) -> str:
    """SHA-256 of a record's fields, in a canonical form."""
    data = asdict(record) if is_dataclass(record) and not isinstance(record, type) else record
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()


def evaluation_key(
    model: ModelVersion, split: Split, baseline: ModelVersion | None, policy: Policy, protocol: Protocol
) -> EvaluationKey:
    """The natural key that an evaluation of these would have: the same key is the same evaluation, run again."""
    return (
        model.name,
        model.version,
        model.digest,
        split.digest,
        digest(protocol),
        digest(policy),
        baseline.digest if baseline else "",
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Found:
    """What was found out about one version."""

    explained: Explained
    batch_size: int
    preds: Predictions
    active_channels: FloatArray
    confmat: ConfusionMatrix
    contrasts: ContrastSets
    scores: SampleScores
    gallery: Gallery

    @property
    def measured(self) -> Measured:
        return Measured(preds=self.preds, contrasts=self.contrasts, scores=self.scores)


class _Run:
    """The passes over the whole split."""

    def __init__(self, split: Split, source: ImageSource, protocol: Protocol, device: str, progress: Progress) -> None:
        self._split, self._source, self._protocol = split, source, protocol
        self._device, self._progress = device, progress

    def measure(
        self, model: nn.Module, target_layer: str, known: SampleScores | None = None, *, of: str = ""
    ) -> _Found:
        """Predict and explain with one version; `known` scores are not computed again."""
        layer = self._find_layer(model) if target_layer == "auto" else target_layer
        with self._prepared(model) as batch_size:
            preds, active = self._predictions(model, layer, batch_size, f"predict{of}")
            confmat = confusion_matrix(preds, self._split.num_classes)
            contrasts = contrast_sets(confmat, self._protocol.contrast_k, observed_only=self._protocol.observed_only)
            explained = Explained(model=model, layer=layer, contrast=contrasts.weights())
            scores, gallery = known, Gallery.empty()
            if scores is None:
                explainer = Explainer(explained, self._source, self._protocol, self._device, batch_size)
                scores, gallery = explainer.run(preds, self._progress, f"explain{of}")
        return _Found(
            explained=explained,
            batch_size=batch_size,
            preds=preds,
            active_channels=active,
            confmat=confmat,
            contrasts=contrasts,
            scores=scores,
            gallery=gallery,
        )

    def drift(self, candidate: _Found, baseline: _Found) -> dict[str, FloatArray]:
        """Agreement of both versions' maps, of the images that the candidate was explained on."""
        return map_agreement(
            candidate.explained,
            baseline.explained,
            self._source,
            sample_indices(candidate.preds, self._protocol.sample_size, self._protocol.seed).tolist(),
            candidate.scores.target,
            protocol=self._protocol,
            device=self._device,
            batch_size=min(candidate.batch_size, baseline.batch_size),
            progress=self._progress,
        )

    def _find_layer(self, model: nn.Module) -> str:
        return find_target_layer(model, self._first_images(), output_key=self._protocol.output_key)

    @contextmanager
    def _prepared(self, model: nn.Module) -> Iterator[int]:
        """The model ready for passes over many images; yields how many to take at once."""
        images = self._first_images()
        with inspecting(model), fast_weights(model, self._logits(model), images):
            yield self._protocol.batch_size or batch_size_for(model, images)

    def _predictions(self, model: nn.Module, layer: str, batch_size: int, stage: str) -> tuple[Predictions, FloatArray]:
        """The predictions and, from the same pass, the mean number of active channels per class."""
        tap = tap_layer(model, layer, output_key=self._protocol.output_key)
        activity = ChannelActivity(self._protocol.activity_threshold)

        def logits(images: Tensor) -> Tensor:
            def look(output: Tensor) -> Tensor:
                activity(tap.layout(output, images).to_grid(output))
                return output

            return tap(images, look)

        preds = predict(
            logits,
            self._source,
            num_classes=self._split.num_classes,
            batch_size=batch_size,
            device=self._device,
            progress=self._progress,
            stage=stage,
        )
        return preds, mean_active_channels(activity.counts, preds, self._split.num_classes)

    def _logits(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        key = self._protocol.output_key
        return lambda images: logits_of(model(images), key, len(images))

    def _first_images(self) -> Tensor:
        return next(self._source.batches(range(min(2, self._split.size)), 2)).to(self._device)


def _provenance(policy: Policy, protocol: Protocol, layer: str, device: str) -> Provenance:
    return Provenance(
        protocol=protocol,
        protocol_digest=digest(protocol),
        policy_digest=digest(policy),
        target_layer=layer,
        device=device,
        torch_version=torch.__version__,
        package_version=case_monitor.__version__,
    )
