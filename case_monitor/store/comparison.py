"""Two stored versions side by side: what was measured between them, or what follows from what is stored of each."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import lru_cache

import numpy as np
from pydantic import TypeAdapter
from sqlalchemy import Engine

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.digests import protocol_digest
from case_monitor.domain.metric_kinds import is_of_classes, needs_baseline
from case_monitor.domain.metrics import row_of
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy, vs_baseline
from case_monitor.domain.predictions import PredictedClasses
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Verdict
from case_monitor.judging.figures.between_versions import Measured, comparison_summaries
from case_monitor.judging.verdict import judge
from case_monitor.store.read.contrast_sets import load_contrast_sets
from case_monitor.store.read.evaluation_list import EvaluationLine, evaluation_settings
from case_monitor.store.read.evaluations import read_evaluation
from case_monitor.store.read.predictions import load_predictions
from case_monitor.store.read.scores import load_scores
from case_monitor.store.read.summaries import load_some_summaries
from case_monitor.store.read.verdicts import load_verdict
from case_monitor.store.stored_policy import stored_policy

CLASS_METRICS = ("recall_vs_baseline", "contrast_jaccard")
_PROTOCOL = TypeAdapter(Protocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two evaluations to compare.

    Attributes:
        candidate: the evaluation of the candidate.
        baseline: that of the baseline on the same split under the same protocol; None if there is none.
        measured: the candidate was compared with that version when it was evaluated.
    """

    candidate: EvaluationLine
    baseline: EvaluationLine | None
    measured: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredComparison:
    """What can be said about a candidate beside a baseline.

    Attributes:
        summaries: the candidate's figures and its differences from the baseline; per class only `CLASS_METRICS`
            and what rules ask for.
        verdict: of the gate; None where it cannot be had.
        missing: what cannot be compared and why, in sentences.
    """

    summaries: tuple[MetricSummary, ...]
    verdict: Verdict | None
    missing: tuple[str, ...]


def pair_of(lines: Sequence[EvaluationLine], candidate: int, baseline: int) -> Pair:
    """The evaluations of two versions that go together, the last saved first.

    Args:
        lines: all of a model, the last saved first; both versions are among them.
        candidate, baseline: versions.
    """
    ours = [line for line in lines if line.version == candidate]
    theirs = [line for line in lines if line.version == baseline]
    measured = next((line for line in ours if line.baseline_version == baseline), None)
    if measured is not None:
        return Pair(candidate=measured, baseline=_alike(measured, theirs), measured=True)
    pairs = ((line, _alike(line, theirs)) for line in ours)
    found = next(((line, other) for line, other in pairs if other is not None), (ours[0], None))
    return Pair(candidate=found[0], baseline=found[1], measured=False)


def layers_of(engine: Engine, lines: Sequence[EvaluationLine], version: int) -> tuple[EvaluationLine, ...]:
    """The evaluations of one version that differ in the layer alone, one a layer; the last saved of each, and first.

    Images, artifact and every other setting are the same, and this package's figures are meant by all of them. Of a
    version that was never evaluated at two layers like this, its last one.
    """
    ours = [line for line in lines if line.version == version]
    for line in ours:
        found = {line.target_layer: line}
        for other in ours:
            if other.target_layer not in found and _differ_in_layer(engine, line, other):
                found[other.target_layer] = other
        if len(found) > 1:
            return tuple(found.values())
    return tuple(ours[:1])


def _differ_in_layer(engine: Engine, line: EvaluationLine, other: EvaluationLine) -> bool:
    if (line.split_digest, line.model_digest) != (other.split_digest, other.model_digest):
        return False
    protocols = [_protocol(evaluation_settings(engine, of.id).protocol) for of in (line, other)]
    meant = [
        protocol_digest(protocol) == of.protocol_digest for protocol, of in zip(protocols, (line, other), strict=True)
    ]
    return all(meant) and replace(protocols[0], target_layer=protocols[1].target_layer) == protocols[1]


def _alike(line: EvaluationLine, others: Sequence[EvaluationLine]) -> EvaluationLine | None:
    measure = line.split_digest, line.protocol_digest
    return next((other for other in others if (other.split_digest, other.protocol_digest) == measure), None)


def compare_stored(engine: Engine, pair: Pair) -> StoredComparison:
    """The differences, and the gate's verdict on them."""
    if pair.measured:
        evaluation_id = pair.candidate.id
        summaries = load_some_summaries(engine, evaluation_id, CLASS_METRICS)
        return StoredComparison(summaries=summaries, verdict=load_verdict(engine, evaluation_id), missing=())
    if pair.baseline is None:
        return StoredComparison(summaries=(), verdict=None, missing=())
    return _computed(engine, pair.candidate, pair.baseline)


@lru_cache(maxsize=32)  # bootstraps take seconds; a line has the time of its evaluation, so what is kept is never old
def _computed(engine: Engine, candidate: EvaluationLine, baseline: EvaluationLine) -> StoredComparison:
    found = read_evaluation(engine, candidate.id)
    if found is None:
        return StoredComparison(summaries=(), verdict=None, missing=("The evaluation is not stored any more.",))
    stored = found.evaluation
    missing: list[str] = []
    policy = stored_policy(stored.policy)
    if policy is None:
        missing.append("Another version of case_monitor wrote the policy: there is no verdict. Evaluate again.")
    differences = tuple(_differences(engine, candidate, baseline, stored.protocol, policy or Policy(), missing))
    per_class = {"recall"} | ({rule.metric for rule in policy.rules if rule.per_class} if policy else set())
    summaries = (*_own(load_some_summaries(engine, candidate.id, per_class)), *differences)
    two = "at the two layers" if at_layers(candidate, baseline) else "of the two versions"
    missing.append(f"The maps {two} were not laid over each other: only an evaluation of two versions can do that.")
    verdict = None
    if policy is not None:
        against = ModelVersion(
            name=stored.model_name, version=baseline.version, run_id=None, digest=baseline.model_digest
        )
        verdict = judge(stored.model, summaries, policy, baseline=against, class_names=stored.class_names)[0]
        # The gate compares with production; here any version stands for it.
        other = f"what it is at {baseline.target_layer}" if at_layers(candidate, baseline) else str(against)
        verdict = replace(verdict, sentence=verdict.sentence.replace(f"{against}, in production,", other))
    return StoredComparison(summaries=summaries, verdict=verdict, missing=tuple(missing))


def at_layers(candidate: EvaluationLine, baseline: EvaluationLine) -> bool:
    """Whether the two are of one version, at two layers."""
    return candidate.version == baseline.version


def _protocol(written: Mapping[str, object]) -> Protocol:
    """What this package knows of it."""
    known = {field.name for field in fields(Protocol)}
    return _PROTOCOL.validate_python({key: value for key, value in written.items() if key in known})


def _own(summaries: Collection[MetricSummary]) -> Iterator[MetricSummary]:
    """Without differences from whatever else the candidate was compared with."""
    return (s for s in summaries if not needs_baseline(s.metric))


def _differences(
    engine: Engine,
    candidate: EvaluationLine,
    baseline: EvaluationLine,
    written: Mapping[str, object],
    policy: Policy,
    missing: list[str],
) -> Iterator[MetricSummary]:
    """By the functions of an evaluation; what cannot be had is left out and said in `missing`."""
    protocol = _protocol(written)
    preds = _predictions(engine, candidate, baseline, missing)
    scores = _scores(engine, candidate, baseline, protocol, missing)
    contrasts = [load_contrast_sets(engine, line.id) for line in (candidate, baseline)]
    ours, theirs = (Measured(preds=p, contrasts=c, scores=s) for p, c, s in zip(preds, contrasts, scores, strict=True))
    for row in comparison_summaries(ours, theirs, {}, protocol, policy.confidence_level):
        of_maps = row_of(row.metric.removesuffix(vs_baseline(""))).of_methods
        if is_of_classes(row.metric) or len(scores[0].sample_ids if of_maps else preds[0].target):
            yield row


def _predictions(
    engine: Engine, candidate: EvaluationLine, baseline: EvaluationLine, missing: list[str]
) -> tuple[PredictedClasses, PredictedClasses]:
    first, second = load_predictions(engine, candidate.id), load_predictions(engine, baseline.id)
    if first is None or second is None:
        whose = " and ".join(
            str(line.version) for line, found in ((candidate, first), (baseline, second)) if found is None
        )
        missing.append(
            f"What every image was predicted as is not stored of version {whose}: accuracy and recalls cannot be "
            "compared on the same images. Evaluate again to have it."
        )
        return _predicted(_NO_CLASSES, _NO_CLASSES), _predicted(_NO_CLASSES, _NO_CLASSES)
    return _predicted(*first), _predicted(*second)


_NO_CLASSES: IntArray = np.empty(0, dtype=np.int64)


def _predicted(target: IntArray, preds: IntArray) -> PredictedClasses:
    """Images by their place: evaluations of the same split have the same images in the same order."""
    unknown = np.full(len(target), np.nan)
    return PredictedClasses(
        sample_ids=tuple(map(str, range(len(target)))), target=target, preds=preds, confidence=unknown
    )


def _scores(
    engine: Engine, candidate: EvaluationLine, baseline: EvaluationLine, protocol: Protocol, missing: list[str]
) -> tuple[SampleScores, SampleScores]:
    first, second = load_scores(engine, candidate.id), load_scores(engine, baseline.id)
    if first is None or second is None:
        whose = " and ".join(
            str(line.version) for line, found in ((candidate, first), (baseline, second)) if found is None
        )
        missing.append(
            f"The scores of single images are not stored of version {whose}, or were deleted (db prune): explanations "
            "cannot be compared on the same images. Evaluate again to have them."
        )
        return _no_scores(protocol), _no_scores(protocol)
    return first, second


def _no_scores(protocol: Protocol) -> SampleScores:
    none: FloatArray = np.empty(0)
    metrics = ("agreement", *(f"confidence_drop_{suffix}" for suffix in protocol.suffixes))
    values = {(method, metric): none for method in protocol.methods for metric in metrics}
    return SampleScores(sample_ids=(), target=_NO_CLASSES, top2=_NO_CLASSES, confidence=none, values=values)
