"""Reads. They return frozen records; no row of a table leaves this package."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Double, Engine, RowMapping, Select, select

from case_monitor.domain.alert import Alert
from case_monitor.domain.arrays import UNDEFINED
from case_monitor.domain.contrast_sets import ContrastMember, ContrastSets, ContrastSource
from case_monitor.domain.errors import StoreError
from case_monitor.domain.evaluation import EvaluationKey
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Rule, Severity
from case_monitor.domain.promotion import Decision
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Status, ThresholdResult, Verdict
from case_monitor.store.connection import reading
from case_monitor.store.tables import (
    AlertObservationRow,
    ChildRow,
    ContrastMemberRow,
    EvaluationRow,
    MetricSummaryRow,
    ModelVersionRow,
    PromotionRow,
    ThresholdResultRow,
    name_digest,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEvaluation:
    """An evaluation without its parts. `run_id` trained the model; `mlflow_run_id` holds the evidence.

    `flow_run_id` is the Prefect flow run that saved it last; None: it was saved outside of flows.

    `protocol` and `policy` are as they were written, since an older package may have had other fields.
    """

    id: int
    model_name: str
    version: int
    run_id: str | None
    model_digest: str
    split_digest: str
    protocol_digest: str
    policy_digest: str
    baseline_digest: str
    baseline_version: int | None
    in_production: bool
    split_name: str
    split_size: int
    images_digest: str | None
    labels_digest: str | None
    class_names: tuple[str, ...]
    seed: int
    target_layer: str
    layer_source: str | None
    device: str
    torch_version: str
    package_version: str
    protocol: dict[str, Any]
    policy: dict[str, Any]
    verdict_status: Status
    verdict_sentence: str
    notes: tuple[str, ...]
    mlflow_run_id: str | None
    mlflow_experiment_id: str | None
    flow_run_id: str | None
    created_at: datetime
    updated_at: datetime
    duration_s: float

    @property
    def model(self) -> ModelVersion:
        """What was evaluated."""
        return ModelVersion(name=self.model_name, version=self.version, run_id=self.run_id, digest=self.model_digest)

    @property
    def baseline(self) -> ModelVersion | None:
        """What it was compared with; who trained that is not stored."""
        if self.baseline_version is None:
            return None
        return ModelVersion(
            name=self.model_name, version=self.baseline_version, run_id=None, digest=self.baseline_digest
        )

    @property
    def key(self) -> EvaluationKey:
        """The natural key, as `Evaluation.key`."""
        digests = (self.split_digest, self.protocol_digest, self.policy_digest, self.baseline_digest)
        return (self.model_name, self.version, self.model_digest, *digests)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPromotion:
    """One entry of the audit log. `applied_at` None: decided, and the alias was not (yet) moved."""

    id: int
    model_name: str
    alias: str
    version: int
    previous_version: int | None
    decision: Decision
    evaluation_id: int
    reason: str
    decided_at: datetime
    applied_at: datetime | None
    decided_by: str | None
    valid_until: datetime | None


def find_evaluation(engine: Engine, key: EvaluationKey) -> StoredEvaluation | None:
    """The evaluation with this natural key."""
    name, version, model_digest, split_digest, protocol_digest, policy_digest, baseline_digest = key
    query = _of_model(name).where(
        ModelVersionRow.version == version,
        EvaluationRow.model_digest == model_digest,
        EvaluationRow.split_digest == split_digest,
        EvaluationRow.protocol_digest == protocol_digest,
        EvaluationRow.policy_digest == policy_digest,
        EvaluationRow.baseline_digest == baseline_digest,
    )
    return _first(engine, query)


def latest_evaluation(engine: Engine, model_name: str, version: int) -> StoredEvaluation | None:
    """The version's evaluation that was saved last, under whatever split, protocol and policy."""
    return _first(engine, _of_model(model_name).where(ModelVersionRow.version == version))


def first_digest(engine: Engine, model_name: str, version: int) -> str | None:
    """Digest of the version's artifact in its first evaluation."""
    query = (
        select(EvaluationRow.model_digest)
        .join(ModelVersionRow, ModelVersionRow.id == EvaluationRow.model_version_id)
        .where(ModelVersionRow.name_digest == name_digest(model_name), ModelVersionRow.version == version)
        .order_by(EvaluationRow.created_at, EvaluationRow.id)
        .limit(1)
    )
    with reading(engine) as connection:
        return connection.execute(query).scalar_one_or_none()


def evaluations(engine: Engine, model_name: str) -> list[StoredEvaluation]:
    """All evaluations of a model's versions, the last saved first."""
    with reading(engine) as connection:
        return [_stored(row) for row in connection.execute(_of_model(model_name)).mappings()]


def load_verdict(engine: Engine, evaluation_id: int) -> Verdict:
    """The verdict as it was saved."""
    with reading(engine) as connection:
        evaluation = _evaluation(connection, evaluation_id)
        rows = _children(connection, ThresholdResultRow, evaluation_id)
    return Verdict(
        status=Status(evaluation["verdict_status"]),
        sentence=evaluation["verdict_sentence"],
        notes=tuple(evaluation["notes"]),
        results=tuple(_threshold_result(row) for row in rows),
    )


def load_alerts(engine: Engine, evaluation_id: int) -> tuple[Alert, ...]:
    """The alerts as they were saved."""
    with reading(engine) as connection:
        _evaluation(connection, evaluation_id)
        return tuple(_alert(row) for row in _children(connection, AlertObservationRow, evaluation_id))


def load_summaries(engine: Engine, evaluation_id: int) -> tuple[MetricSummary, ...]:
    """The summaries as they were saved."""
    with reading(engine) as connection:
        _evaluation(connection, evaluation_id)
        return tuple(MetricSummary(**row) for row in _children(connection, MetricSummaryRow, evaluation_id))


def load_contrast_sets(engine: Engine, evaluation_id: int) -> ContrastSets:
    """The contrast sets as they were saved."""
    with reading(engine) as connection:
        evaluation = _evaluation(connection, evaluation_id)
        rows = _children(connection, ContrastMemberRow, evaluation_id)
    members: list[list[ContrastMember]] = [[] for _ in evaluation["class_names"]]
    for row in rows:
        members[row["target_class"]].append(_contrast_member(row))
    return ContrastSets(
        contrast_k=evaluation["contrast_k"],
        members=tuple(map(tuple, members)),
        unseen=tuple(evaluation["unseen_classes"]),
    )


def promotions(engine: Engine, model_name: str) -> list[StoredPromotion]:
    """The audit log of a model, the last decision first."""
    query = (
        select(PromotionRow.__table__)
        .join(EvaluationRow, EvaluationRow.id == PromotionRow.evaluation_id)
        .join(ModelVersionRow, ModelVersionRow.id == EvaluationRow.model_version_id)
        .where(ModelVersionRow.name_digest == name_digest(model_name))
        .order_by(PromotionRow.decided_at.desc(), PromotionRow.id.desc())
    )
    with reading(engine) as connection:
        rows = connection.execute(query).mappings().all()
    return [StoredPromotion(**{**row, "decision": Decision(row["decision"])}) for row in rows]


def evaluation_of(connection: Connection, evaluation_id: int) -> StoredEvaluation | None:
    """The evaluation with this id."""
    row = connection.execute(_with_version().where(EvaluationRow.id == evaluation_id)).mappings().one_or_none()
    return None if row is None else _stored(row)


def _of_model(name: str) -> Select[Any]:
    return (
        _with_version()
        .where(ModelVersionRow.name_digest == name_digest(name))
        .order_by(EvaluationRow.updated_at.desc(), EvaluationRow.id.desc())
    )


def _with_version() -> Select[Any]:
    version = (ModelVersionRow.name.label("model_name"), ModelVersionRow.version, ModelVersionRow.run_id)
    return select(EvaluationRow.__table__, *version).join(
        ModelVersionRow, ModelVersionRow.id == EvaluationRow.model_version_id
    )


def _first(engine: Engine, query: Select[Any]) -> StoredEvaluation | None:
    with reading(engine) as connection:
        row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else _stored(row)


def _stored(row: RowMapping) -> StoredEvaluation:
    values = {field.name: row[field.name] for field in fields(StoredEvaluation)}
    values["class_names"] = tuple(row["class_names"])
    values["notes"] = tuple(row["notes"])
    values["verdict_status"] = Status(row["verdict_status"])
    return StoredEvaluation(**values)


def _evaluation(connection: Connection, evaluation_id: int) -> RowMapping:
    query = select(EvaluationRow.__table__).where(EvaluationRow.id == evaluation_id)
    row = connection.execute(query).mappings().one_or_none()
    if row is None:
        raise StoreError(f"evaluation {evaluation_id} is not stored")
    return row


def _children(connection: Connection, table: type[ChildRow], evaluation_id: int) -> list[dict[str, Any]]:
    """An evaluation's rows in the order saved, as fields of records; a figure that is NULL was NaN."""
    columns = table.__table__.columns
    names = [column.name for column in columns if column.name not in {"evaluation_id", "position"}]
    undefined = {column.name: UNDEFINED for column in columns if isinstance(column.type, Double)}
    query = select(table.__table__).where(table.evaluation_id == evaluation_id)
    rows = connection.execute(query.order_by(*table.__table__.primary_key)).mappings()
    return [{name: undefined.get(name) if row[name] is None else row[name] for name in names} for row in rows]


def _contrast_member(row: dict[str, Any]) -> ContrastMember:
    return ContrastMember(**{**row, "source": ContrastSource(row["source"])})


def _threshold_result(row: dict[str, Any]) -> ThresholdResult:
    threshold = Rule(
        metric=row.pop("metric"),
        limit=row.pop("limit_value"),
        greater_is_better=row.pop("greater_is_better"),
        method=row.pop("threshold_method"),
        per_class=row.pop("per_class"),
        severity=Severity(row.pop("severity")),
    )
    return ThresholdResult(**{**row, "threshold": threshold, "status": Status(row["status"])})


def _alert(row: dict[str, Any]) -> Alert:
    limit = row.pop("limit_value")
    del row["alert_id"]
    return Alert(**{**row, "limit": limit, "severity": Severity(row["severity"]), "status": Status(row["status"])})
