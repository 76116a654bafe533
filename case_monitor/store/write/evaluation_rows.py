"""From the records of an evaluation to rows of its tables."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime

import numpy as np

from case_monitor.domain.evaluation import Evaluation
from case_monitor.store.packed_classes import pack
from case_monitor.store.tables import (
    AlertObservationRow,
    ChildRow,
    ClassMetricsRow,
    ConfusionCellRow,
    ContrastMemberRow,
    MetricSummaryRow,
    PredictionsRow,
    SampleRow,
    SampleScoreRow,
    ThresholdResultRow,
)
from case_monitor.store.write.rows import Row, fields_of


def evaluation_row(model_version_id: int, evaluation: Evaluation) -> Row:
    """The evaluation without its parts."""
    provenance = evaluation.provenance
    now = datetime.now(UTC)
    return {
        "model_version_id": model_version_id,
        "model_digest": evaluation.model.digest,
        "split_digest": evaluation.split.digest,
        "protocol_digest": provenance.protocol_digest,
        "policy_digest": provenance.policy_digest,
        "baseline_digest": evaluation.baseline.digest if evaluation.baseline else "",
        "baseline_version": evaluation.baseline.version if evaluation.baseline else None,
        "in_production": evaluation.in_production,
        "split_name": evaluation.split.name,
        "split_size": evaluation.split.size,
        "images_digest": evaluation.split.images_digest or None,
        "labels_digest": evaluation.split.labels_digest or None,
        "class_names": evaluation.split.class_names,
        "contrast_k": evaluation.contrast_sets.contrast_k,
        "unseen_classes": evaluation.contrast_sets.unseen,
        "seed": provenance.protocol.seed,
        "target_layer": provenance.target_layer,
        "layer_source": provenance.layer_source,
        "device": provenance.device,
        "torch_version": provenance.torch_version,
        "package_version": provenance.package_version,
        "isolation": provenance.isolation,
        "signer": evaluation.model.signer,
        "protocol": asdict(provenance.protocol),
        "policy": asdict(evaluation.policy),
        "verdict_status": evaluation.verdict.status,
        "verdict_sentence": evaluation.verdict.sentence,
        "notes": evaluation.verdict.notes,
        "created_at": now,
        "updated_at": now,
        "duration_s": evaluation.duration_s,
    }


def _class_metrics(evaluation: Evaluation) -> Iterator[Row]:
    for metrics in evaluation.class_metrics:
        yield {**fields_of(metrics), "class_name": evaluation.split.class_names[metrics.class_idx]}


def _confusion_cells(evaluation: Evaluation) -> Iterator[Row]:
    counts = evaluation.confmat.counts
    for target, predicted in np.argwhere(counts > 0):
        yield {"target_class": target, "predicted_class": predicted, "count": counts[target, predicted]}


def _contrast_members(evaluation: Evaluation) -> Iterator[Row]:
    return (fields_of(member) for members in evaluation.contrast_sets.members for member in members)


def _samples(evaluation: Evaluation) -> Iterator[Row]:
    scores = evaluation.scores
    broken = np.zeros(len(scores.sample_ids), np.int64) if scores.broken_passes is None else scores.broken_passes
    columns = zip(scores.sample_ids, scores.target, scores.top2, scores.confidence, broken, strict=True)
    for position, (sample_id, target, top2, confidence, broken_passes) in enumerate(columns):
        yield {
            "position": position,
            "sample_id": sample_id,
            "target": target,
            "top2": top2,
            "confidence": confidence,
            "broken_passes": broken_passes,
        }


def _sample_scores(evaluation: Evaluation) -> Iterator[Row]:
    for (method, metric), values in evaluation.scores.values.items():
        for position, value in enumerate(values.tolist()):
            yield {"position": position, "method": method, "metric": metric, "value": value}


def _metric_summaries(evaluation: Evaluation) -> Iterator[Row]:
    return _numbered(fields_of(summary) for summary in evaluation.summaries)


def _threshold_results(evaluation: Evaluation) -> Iterator[Row]:
    for position, result in enumerate(evaluation.verdict.results):
        row, rule = fields_of(result), fields_of(result.threshold)
        del row["threshold"]
        rule["limit_value"], rule["threshold_method"] = rule.pop("limit"), rule.pop("method")
        yield {"position": position, **rule, **row}


def _alerts(evaluation: Evaluation) -> Iterator[Row]:
    for row in _numbered(fields_of(alert) for alert in evaluation.alerts):
        row["limit_value"] = row.pop("limit")
        yield row


def _predictions(evaluation: Evaluation) -> Iterator[Row]:
    preds = evaluation.preds
    yield {"n": len(preds.preds), "target": pack(preds.target), "preds": pack(preds.preds)}


def _numbered(rows: Iterable[Row]) -> Iterator[Row]:
    return ({"position": position, **row} for position, row in enumerate(rows))


# Parents before children: samples before their scores.
PARTS: dict[type[ChildRow], Callable[[Evaluation], Iterable[Row]]] = {
    ClassMetricsRow: _class_metrics,
    ConfusionCellRow: _confusion_cells,
    ContrastMemberRow: _contrast_members,
    SampleRow: _samples,
    SampleScoreRow: _sample_scores,
    MetricSummaryRow: _metric_summaries,
    ThresholdResultRow: _threshold_results,
    AlertObservationRow: _alerts,
    PredictionsRow: _predictions,
}
