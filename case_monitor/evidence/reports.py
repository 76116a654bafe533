"""Evidence in files: Evidently's HTML reports, and tables for those who want to compute on.

Evidently is imported inside the functions, because that takes seconds, and its telemetry is turned off.
Evidently 0.7 writes its data into the page's script element without escaping `<`, so a class named
`</script><script>…` would run. Class names are therefore defused before they are handed over.
"""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.predictions import PredictedClasses
from case_monitor.evidence.table_files import plain, write_csv, write_parquet

if TYPE_CHECKING:
    from evidently import Dataset

MAX_LABEL = 60
MAX_PRESET_LABELS = 100  # above, Evidently's confusion matrix takes seconds and 8 MB
NO_PREDICTION = "no prediction"
DRIFT_DISTANCE = 0.1  # what Evidently calls drift by default

_MARKUP = str.maketrans({"<": "[lt]", ">": "[gt]", "&": "[amp]"})


def write_reports(evaluation: Evaluation, baseline_preds: PredictedClasses | None, directory: Path) -> list[Path]:
    """Write quality_by_label.html and, where there is a baseline, prediction_drift.html.

    Both are single files that load nothing from elsewhere. They show; the gate's numbers are not taken from them.

    Args:
        evaluation: the candidate's evaluation.
        baseline_preds: what the baseline predicts on the same split.
        directory: made if need be.

    Returns:
        The files written; none for a split without images.
    """
    if not len(evaluation.preds.target):
        return []
    os.environ.setdefault("DO_NOT_TRACK", "true")  # Evidently reads it on import and on every report
    directory.mkdir(parents=True, exist_ok=True)
    labels = report_labels(_all_names(evaluation, baseline_preds))
    paths = [_write_quality(evaluation.preds, labels, directory / "quality_by_label.html")]
    if baseline_preds is not None and len(baseline_preds.target):
        path = directory / "prediction_drift.html"
        paths.append(_write_drift(evaluation.preds, baseline_preds, labels, path))
    return paths


def report_labels(names: Sequence[str]) -> tuple[str, ...]:
    """Class names as labels that are unique, sort by class index and can break neither Evidently nor HTML.

    The index in front keeps digit names from being read as numbers and equal names apart. `<`, `>` and `&`
    are spelled out; control characters are escaped.

    >>> report_labels(["cat", "<b>", "7"])
    ('0: cat', '1: [lt]b[gt]', '2: 7')
    """
    digits = len(str(max(len(names) - 1, 0)))
    return tuple(f"{idx:0{digits}d}: {_defused(name)}" for idx, name in enumerate(names))


def _defused(name: str) -> str:
    short = name if len(name) <= MAX_LABEL else name[: MAX_LABEL - 1] + "…"
    visible = (c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in short)
    return "".join(visible).translate(_MARKUP)


def _all_names(evaluation: Evaluation, baseline: PredictedClasses | None) -> list[str]:
    """The split's class names, and numbers for outputs that a model has beyond them."""
    names = list(evaluation.split.class_names)
    outputs = max(int(preds.preds.max()) + 1 for preds in (evaluation.preds, baseline) if preds is not None)
    return names + [f"output {idx}" for idx in range(len(names), outputs)]


def _write_quality(preds: PredictedClasses, labels: tuple[str, ...], path: Path) -> Path:
    from evidently import DataDefinition, Dataset, MulticlassClassification, Report
    from evidently.presets import ClassificationPreset, ClassificationQualityByLabel

    frame = pd.DataFrame({"target": _named(labels, preds.target), "prediction": _named(labels, preds.preds)})
    task = MulticlassClassification(target="target", prediction_labels="prediction")
    definition = DataDefinition(classification=[task], categorical_columns=["target", "prediction"])
    # Two labels make Evidently's preset look for a positive class named 1, and fail.
    seen = len(set(frame["target"]) | set(frame["prediction"]))
    whole = seen != 2 and seen <= MAX_PRESET_LABELS
    metrics = [ClassificationPreset() if whole else ClassificationQualityByLabel()]
    snapshot = Report(metrics).run(Dataset.from_pandas(frame, data_definition=definition), None)
    snapshot.save_html(str(path))
    return path


def _write_drift(preds: PredictedClasses, baseline: PredictedClasses, labels: tuple[str, ...], path: Path) -> Path:
    from evidently import Report
    from evidently.metrics import ValueDrift

    current, reference = _drift_data(preds, labels), _drift_data(baseline, labels)
    limit = drift_limit(preds.preds, baseline.preds)
    metrics = [
        ValueDrift(column="predicted label", method="jensenshannon", threshold=limit),
        ValueDrift(column="confidence", method="wasserstein", threshold=DRIFT_DISTANCE),
    ]
    Report(metrics).run(current, reference).save_html(str(path))
    return path


def _drift_data(preds: PredictedClasses, labels: tuple[str, ...]) -> "Dataset":
    from evidently import DataDefinition, Dataset

    definition = DataDefinition(categorical_columns=["predicted label"], numerical_columns=["confidence"])
    # Evidently refuses a column without a number; a model that yields NaN only has no confidence: 0.
    confidence = np.nan_to_num(preds.confidence, nan=0.0)
    frame = pd.DataFrame({"predicted label": _named(labels, preds.preds), "confidence": confidence})
    return Dataset.from_pandas(frame, data_definition=definition)


def _named(labels: tuple[str, ...], classes: IntArray) -> npt.NDArray[np.object_]:
    """Labels of class indices; -1, where logits are not finite, finds the last."""
    return np.asarray([*labels, NO_PREDICTION], dtype=object)[classes]


def drift_limit(current: IntArray, reference: IntArray) -> float:
    """Jensen-Shannon distance that counts as drift: 0.1 on top of what sampling alone yields.

    Two samples of n labels from one distribution over K classes are about sqrt((K - 1) / 4n) apart: at 1000
    classes with 20 images each that alone is 0.11.
    """
    num_labels = len(np.union1d(current, reference))
    noise = math.sqrt((num_labels - 1) / (4 * min(len(current), len(reference))))
    return math.hypot(DRIFT_DISTANCE, noise)


def write_tables(evaluation: Evaluation, directory: Path) -> list[Path]:
    """Write the evaluation as tables: CSV to read, Parquet to compute on, JSON for the alerts.

    CSV is UTF-8 with an empty field for what is undefined. A text that a spreadsheet would take for a formula
    (it begins with `=`, `+`, `-`, `@`, a tab or a line break) gets an apostrophe in front; numbers, Parquet and
    JSON stay as they are. JSON is strict: NaN is null.

    Args:
        evaluation: what to write.
        directory: made if need be.

    Returns:
        The files written, always the same six.
    """
    directory.mkdir(parents=True, exist_ok=True)
    return [
        write_csv(_class_table(evaluation), directory / "class_metrics.csv"),
        write_csv(_summary_table(evaluation), directory / "summaries.csv"),
        write_csv(_contrast_table(evaluation), directory / "contrast_sets.csv"),
        write_parquet(_score_table(evaluation), directory / "sample_scores.parquet"),
        write_parquet(_prediction_table(evaluation.preds), directory / "predictions.parquet"),
        _write_alerts(evaluation, directory / "alerts.json"),
    ]


def _class_table(evaluation: Evaluation) -> pd.DataFrame:
    frame = pd.DataFrame([asdict(metrics) for metrics in evaluation.class_metrics])
    if frame.empty:
        return pd.DataFrame(columns=["class_idx", "class_name"])
    frame.insert(1, "class_name", [_name(evaluation, idx) for idx in frame["class_idx"]])
    frame["n_explained"] = [int((evaluation.scores.target == idx).sum()) for idx in frame["class_idx"]]
    scores = _scores_by_class(evaluation).reindex(frame["class_idx"])
    return pd.concat([frame, scores.reset_index(drop=True)], axis=1)


def _scores_by_class(evaluation: Evaluation) -> pd.DataFrame:
    """Per class: `agreement_median.<method>` and the mean of every other score, `<metric>.<method>`."""
    target = pd.Series(evaluation.scores.target, name="class_idx")
    columns = {}
    for (method, metric), values in evaluation.scores.values.items():
        groups = pd.Series(values).groupby(target)
        if metric == "agreement":
            columns[f"agreement_median.{method}"] = groups.median()
        else:
            columns[f"{metric}.{method}"] = groups.mean()
    return pd.DataFrame(columns, index=pd.Index(target.unique(), name="class_idx"))


def _summary_table(evaluation: Evaluation) -> pd.DataFrame:
    rows = [_strict(asdict(summary)) for summary in evaluation.summaries]
    frame = pd.DataFrame(rows or None, columns=None if rows else ["metric", "method", "class_idx", "value"])
    idx = list(frame["class_idx"])
    frame["class_idx"] = pd.array([None if pd.isna(i) else int(i) for i in idx], dtype="Int64")
    names = [None if pd.isna(i) else _name(evaluation, int(i)) for i in idx]
    frame.insert(3, "class_name", pd.Series(names, dtype=object))
    return frame


def _contrast_table(evaluation: Evaluation) -> pd.DataFrame:
    columns = ["target_class", "target_name", "rank", "class_idx", "class_name", "source", "count", "weight"]
    rows = [
        asdict(member)
        | {
            "target_name": _name(evaluation, member.target_class),
            "class_name": _name(evaluation, member.class_idx),
            "source": member.source.value,
        }
        for members in evaluation.contrast_sets.members
        for member in members
    ]
    return pd.DataFrame(rows, columns=columns)


def _score_table(evaluation: Evaluation) -> pa.Table:
    scores = evaluation.scores
    n = len(scores.sample_ids)
    keys = list(scores.values)
    values = [np.asarray(scores.values[key], dtype=np.float64) for key in keys]
    columns = {
        "sample_id": pa.array([plain(name) for name in scores.sample_ids] * len(keys), pa.string()),
        "target": pa.array(np.tile(scores.target, len(keys)), pa.int64()),
        "top2": pa.array(np.tile(scores.top2, len(keys)), pa.int64()),
        "method": pa.array([method for method, _ in keys for _ in range(n)], pa.string()),
        "metric": pa.array([metric for _, metric in keys for _ in range(n)], pa.string()),
        "value": pa.array(np.concatenate(values) if values else np.empty(0), pa.float64()),
    }
    return pa.table(columns)


def _prediction_table(preds: PredictedClasses) -> pa.Table:
    columns = {
        "sample_id": pa.array([plain(name) for name in preds.sample_ids], pa.string()),
        "target": pa.array(preds.target, pa.int64()),
        "pred": pa.array(preds.preds, pa.int64()),
        "confidence": pa.array(preds.confidence, pa.float64()),
        "correct": pa.array(preds.preds == preds.target, pa.bool_()),
    }
    return pa.table(columns)


def _write_alerts(evaluation: Evaluation, path: Path) -> Path:
    alerts = [
        asdict(alert) | {"class_name": None if alert.class_idx is None else _name(evaluation, alert.class_idx)}
        for alert in evaluation.alerts
    ]
    strict = [_strict(alert) for alert in alerts]
    path.write_text(json.dumps(strict, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
    return path


def _strict(row: dict[str, object]) -> dict[str, object]:
    """`row` with nothing that JSON or UTF-8 cannot hold: None for NaN and infinity, plain texts."""

    def strict(value: object) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return plain(value) if isinstance(value, str) else value

    return {key: strict(value) for key, value in row.items()}


def _name(evaluation: Evaluation, class_idx: int) -> str:
    names = evaluation.split.class_names
    return plain(names[class_idx]) if class_idx < len(names) else f"output {class_idx}"
