"""Evaluations without their parts: by key, by id, the last of a version."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Select, select

from case_monitor.domain.evaluation import EvaluationKey
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.status import Status
from case_monitor.store.connection import reading
from case_monitor.store.read.promotions import StoredPromotion, last_promotion
from case_monitor.store.tables import EvaluationRow, ModelVersionRow, name_digest


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
    isolation: str | None
    signer: str | None
    protocol: dict[str, object]
    policy: dict[str, object]
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
        return ModelVersion(
            name=self.model_name,
            version=self.version,
            run_id=self.run_id,
            digest=self.model_digest,
            signer=self.signer,
        )

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
class OtherEvaluation:
    """Another evaluation of the same version: on another split, or under another protocol, policy or baseline."""

    id: int
    evaluated_at: datetime
    split_name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationInPlace:
    """An evaluation, what was decided on it last, and its neighbours in time among those of the same version."""

    evaluation: StoredEvaluation
    promotion: StoredPromotion | None
    older: OtherEvaluation | None
    newer: OtherEvaluation | None


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


def read_evaluation(engine: Engine, evaluation_id: int) -> EvaluationInPlace | None:
    """The evaluation with this id; None if there is none."""
    with reading(engine) as connection:
        evaluation = _evaluation_of(connection, evaluation_id)
        if evaluation is None:
            return None
        promotion = last_promotion(connection, evaluation_id)
        others = _of_the_same_version(connection, evaluation_id)
    place = [other.id for other in others].index(evaluation_id)
    return EvaluationInPlace(
        evaluation=evaluation,
        promotion=promotion,
        older=others[place - 1] if place else None,
        newer=others[place + 1] if place + 1 < len(others) else None,
    )


def _of_the_same_version(connection: Connection, evaluation_id: int) -> list[OtherEvaluation]:
    """All of them with this one, the oldest first."""
    version = select(EvaluationRow.model_version_id).where(EvaluationRow.id == evaluation_id).scalar_subquery()
    query = (
        select(EvaluationRow.id, EvaluationRow.updated_at.label("evaluated_at"), EvaluationRow.split_name)
        .where(EvaluationRow.model_version_id == version)
        .order_by(EvaluationRow.updated_at, EvaluationRow.id)
    )
    return [OtherEvaluation(**row) for row in connection.execute(query).mappings()]


def _evaluation_of(connection: Connection, evaluation_id: int) -> StoredEvaluation | None:
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
