"""Writes: one transaction each, idempotent by a natural key: flows retry and schedulers start twice."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, fields
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import Connection, Engine, delete, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from case_monitor.core.errors import StoreError
from case_monitor.core.records import Decision, Evaluation, ModelVersion, Promotion
from case_monitor.store.connection import writing
from case_monitor.store.tables import (
    NATURAL_KEY,
    AlertRow,
    Base,
    ChildRow,
    ClassMetricsRow,
    ConfusionCellRow,
    ContrastMemberRow,
    EvaluationRow,
    MetricSummaryRow,
    ModelVersionRow,
    PromotionRow,
    SampleRow,
    SampleScoreRow,
    ThresholdResultRow,
    UtcDateTime,
    name_digest,
)

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Row = dict[str, Any]

# PostgreSQL refuses NUL. Half a surrogate pair is what Python makes of a file name that is not UTF-8.
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def save_evaluation(engine: Engine, evaluation: Evaluation) -> int:
    """Save an evaluation whole, or not at all.

    Where its natural key is stored already, that row keeps its id, `created_at`, MLflow run and promotions,
    and everything else is replaced.

    Returns:
        The evaluation's id.

    Raises:
        StoreError: The database refused it; nothing was changed.
    """
    with writing(engine) as connection:
        model_version_id = _upsert_model_version(connection, evaluation.model)
        # This locks the row: of two writers of one key the second waits, then replaces what the first wrote.
        evaluation_id = _upsert_evaluation(connection, model_version_id, evaluation)
        for table in reversed(_CHILDREN):
            connection.execute(delete(table).where(table.evaluation_id == evaluation_id))
        for table, rows_of in _CHILDREN.items():
            rows = [_bindable(table, {"evaluation_id": evaluation_id, **row}) for row in rows_of(evaluation)]
            if rows:
                connection.execute(insert(table), rows)
    return evaluation_id


def set_mlflow_run(engine: Engine, evaluation_id: int, run_id: str) -> None:
    """Note the MLflow run that holds the evaluation's evidence."""
    values = _bindable(EvaluationRow, {"mlflow_run_id": run_id})
    with writing(engine) as connection:
        found = connection.execute(update(EvaluationRow).where(EvaluationRow.id == evaluation_id).values(values))
        if not found.rowcount:
            raise StoreError(f"evaluation {evaluation_id} is not stored")


def record_promotion(engine: Engine, promotion: Promotion) -> int:
    """Write a decision to the audit log, before the registry is touched.

    Written once, however often it is retried: an entry that is not yet applied is found again, and so is the last
    entry for the alias if it says the same and nothing was to be moved.

    Returns:
        The entry's id.

    Raises:
        StoreError: The evaluation is not stored or belongs to another version.
    """
    row = _bindable(PromotionRow, {**_fields(promotion), "decided_at": _now()})
    with writing(engine) as connection:
        _require_evidence(connection, promotion)
        said = _last_entry(connection, row)
        if said is not None and promotion.decision is not Decision.PROMOTED:
            return said
        connection.execute(_insert(connection, PromotionRow).values(row).on_conflict_do_nothing())
        is_open = select(PromotionRow.id).filter_by(**_decision_key(row)).where(PromotionRow.applied_at.is_(None))
        return connection.execute(is_open).scalar_one()


def _decision_key(row: Row) -> Row:
    return {name: row[name] for name in ("evaluation_id", "alias", "decision")}


def _last_entry(connection: Connection, row: Row) -> int | None:
    """The id of the alias's last entry, if it is this very decision."""
    last = connection.execute(
        select(PromotionRow.id, PromotionRow.evaluation_id, PromotionRow.alias, PromotionRow.decision)
        .where(PromotionRow.model_name == row["model_name"], PromotionRow.alias == row["alias"])
        .order_by(PromotionRow.id.desc())
        .limit(1)
    ).one_or_none()
    same = last is not None and (last.evaluation_id, last.alias, last.decision) == tuple(_decision_key(row).values())
    return last.id if last is not None and same else None


def mark_promotion_applied(engine: Engine, promotion_id: int) -> None:
    """Note that the alias was moved; a second call keeps the first time."""
    first = func.coalesce(PromotionRow.applied_at, literal(_now(), UtcDateTime()))
    with writing(engine) as connection:
        statement = update(PromotionRow).where(PromotionRow.id == promotion_id).values(applied_at=first)
        if not connection.execute(statement).rowcount:
            raise StoreError(f"promotion {promotion_id} is not stored")


def _require_evidence(connection: Connection, promotion: Promotion) -> None:
    evidence = connection.execute(
        select(ModelVersionRow.name, ModelVersionRow.version)
        .join(EvaluationRow, EvaluationRow.model_version_id == ModelVersionRow.id)
        .where(EvaluationRow.id == promotion.evaluation_id)
    ).one_or_none()
    if evidence is None:
        raise StoreError(f"evaluation {promotion.evaluation_id} is not stored")
    if tuple(evidence) != (promotion.model_name, promotion.version):
        raise StoreError(
            f"evaluation {promotion.evaluation_id} is of {evidence.name}/{evidence.version}, "
            f"not of {promotion.model_name}/{promotion.version}"
        )


def _upsert_model_version(connection: Connection, model: ModelVersion) -> int:
    row = {
        "name": model.name,
        "name_digest": name_digest(model.name),
        "version": model.version,
        "run_id": model.run_id,
    }
    statement = _insert(connection, ModelVersionRow).values(_bindable(ModelVersionRow, row))
    statement = statement.on_conflict_do_update(
        index_elements=["name_digest", "version"], set_={"run_id": statement.excluded.run_id}
    )
    return connection.execute(statement.returning(ModelVersionRow.id)).scalar_one()


def _upsert_evaluation(connection: Connection, model_version_id: int, evaluation: Evaluation) -> int:
    row = _bindable(EvaluationRow, _evaluation_row(model_version_id, evaluation))
    statement = _insert(connection, EvaluationRow).values(row)
    replaced = {name: statement.excluded[name] for name in row if name not in (*NATURAL_KEY, "created_at")}
    statement = statement.on_conflict_do_update(index_elements=NATURAL_KEY, set_=replaced)
    return connection.execute(statement.returning(EvaluationRow.id)).scalar_one()


def _evaluation_row(model_version_id: int, evaluation: Evaluation) -> Row:
    provenance = evaluation.provenance
    now = _now()
    return {
        "model_version_id": model_version_id,
        "model_digest": evaluation.model.digest,
        "split_digest": evaluation.split.digest,
        "protocol_digest": provenance.protocol_digest,
        "policy_digest": provenance.policy_digest,
        "baseline_digest": evaluation.baseline.digest if evaluation.baseline else "",
        "baseline_version": evaluation.baseline.version if evaluation.baseline else None,
        "split_name": evaluation.split.name,
        "split_size": evaluation.split.size,
        "class_names": evaluation.split.class_names,
        "contrast_k": evaluation.contrast_sets.contrast_k,
        "unseen_classes": evaluation.contrast_sets.unseen,
        "seed": provenance.protocol.seed,
        "target_layer": provenance.target_layer,
        "device": provenance.device,
        "torch_version": provenance.torch_version,
        "package_version": provenance.package_version,
        "protocol": asdict(provenance.protocol),
        "policy": asdict(evaluation.policy),
        "verdict_status": evaluation.verdict.status,
        "verdict_sentence": evaluation.verdict.sentence,
        "created_at": now,
        "updated_at": now,
        "duration_s": evaluation.duration_s,
    }


def _class_metrics(evaluation: Evaluation) -> Iterator[Row]:
    for metrics in evaluation.class_metrics:
        yield {**_fields(metrics), "class_name": evaluation.split.class_names[metrics.class_idx]}


def _confusion_cells(evaluation: Evaluation) -> Iterator[Row]:
    counts = evaluation.confmat.counts
    for target, predicted in np.argwhere(counts > 0):
        yield {"target_class": target, "predicted_class": predicted, "count": counts[target, predicted]}


def _contrast_members(evaluation: Evaluation) -> Iterator[Row]:
    return (_fields(member) for members in evaluation.contrast_sets.members for member in members)


def _samples(evaluation: Evaluation) -> Iterator[Row]:
    scores = evaluation.scores
    columns = zip(scores.sample_ids, scores.target, scores.top2, scores.confidence, strict=True)
    for position, (sample_id, target, top2, confidence) in enumerate(columns):
        yield {
            "position": position,
            "sample_id": sample_id,
            "target": target,
            "top2": top2,
            "confidence": confidence,
        }


def _sample_scores(evaluation: Evaluation) -> Iterator[Row]:
    for (method, metric), values in evaluation.scores.values.items():
        for position, value in enumerate(values.tolist()):
            yield {"position": position, "method": method, "metric": metric, "value": value}


def _metric_summaries(evaluation: Evaluation) -> Iterator[Row]:
    return _numbered(_fields(summary) for summary in evaluation.summaries)


def _threshold_results(evaluation: Evaluation) -> Iterator[Row]:
    for position, result in enumerate(evaluation.verdict.results):
        row, rule = _fields(result), _fields(result.threshold)
        del row["threshold"]
        rule["limit_value"], rule["threshold_method"] = rule.pop("limit"), rule.pop("method")
        yield {"position": position, **rule, **row}


def _alerts(evaluation: Evaluation) -> Iterator[Row]:
    for row in _numbered(_fields(alert) for alert in evaluation.alerts):
        row["limit_value"] = row.pop("limit")
        yield row


# Parents before children: samples before their scores.
_CHILDREN: dict[type[ChildRow], Callable[[Evaluation], Iterable[Row]]] = {
    ClassMetricsRow: _class_metrics,
    ConfusionCellRow: _confusion_cells,
    ContrastMemberRow: _contrast_members,
    SampleRow: _samples,
    SampleScoreRow: _sample_scores,
    MetricSummaryRow: _metric_summaries,
    ThresholdResultRow: _threshold_results,
    AlertRow: _alerts,
}


def _insert(connection: Connection, table: type[Base]) -> postgresql.Insert | sqlite.Insert:
    """An INSERT that knows ON CONFLICT, which both databases have and plain SQLAlchemy has not."""
    return postgresql.insert(table) if connection.dialect.name == "postgresql" else sqlite.insert(table)


def _fields(record: "DataclassInstance") -> Row:
    """The record's fields; `dataclasses.asdict` would copy every value, and there are tens of thousands."""
    return {field.name: getattr(record, field.name) for field in fields(record)}


def _numbered(rows: Iterable[Row]) -> Iterator[Row]:
    return ({"position": position, **row} for position, row in enumerate(rows))


def _now() -> datetime:
    return datetime.now(UTC)


def _bindable(table: type[Base], row: Row) -> Row:
    return {name: _plain(value, f"{table.__tablename__}.{name}") for name, value in row.items()}


def _plain(value: Any, where: str) -> Any:
    """What a driver takes: numpy scalars as Python's, NaN as NULL; text that no database takes raises."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, str):
        return _text(value, where)
    if isinstance(value, Mapping):
        return {name: _json(item, where) for name, item in value.items()}
    return [_json(item, where) for item in value] if isinstance(value, tuple | list) else value


def _json(value: Any, where: str) -> Any:
    """As `_plain`; JSON has no infinity, so that is spelled out."""
    return str(value) if isinstance(value, float) and math.isinf(value) else _plain(value, where)


def _text(value: str, where: str) -> str:
    if _UNSTORABLE.search(value):
        raise StoreError(f"{where} holds NUL or half a surrogate pair, which cannot be stored: {value!a:.100}")
    return str(value)
