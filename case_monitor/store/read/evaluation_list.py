"""Evaluations in lists: without what is long of them, their class names and settings."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Engine, select

from case_monitor.domain.status import Status
from case_monitor.store.connection import reading
from case_monitor.store.read.rows import some_values_of
from case_monitor.store.tables import EvaluationRow, ModelVersionRow, name_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationLine:
    """An evaluation in a line: without its class names and settings, which are long, and without its figures."""

    id: int
    version: int
    model_digest: str
    split_digest: str
    protocol_digest: str
    split_name: str
    target_layer: str
    baseline_version: int | None
    in_production: bool
    verdict: Status
    sentence: str
    evaluated_at: datetime
    seed_group: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationItem:
    """An evaluation of a registered version."""

    id: int
    model_name: str
    version: int
    verdict_status: Status
    verdict_sentence: str
    in_production: bool
    baseline_version: int | None
    split_name: str
    split_size: int
    model_digest: str
    split_digest: str
    protocol_digest: str
    policy_digest: str
    target_layer: str
    device: str
    torch_version: str
    package_version: str
    mlflow_run_id: str | None
    created_at: datetime
    updated_at: datetime
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSettings:
    """Policy and protocol as they were written, since an older package may have had other fields."""

    policy: Mapping[str, Any]
    protocol: Mapping[str, Any]

    @property
    def gate_method(self) -> str:
        """The saliency method that the gate judges."""
        return str(self.policy.get("gate_method", ""))

    @property
    def methods(self) -> tuple[str, ...]:
        """The saliency methods that were evaluated, in order."""
        return tuple(self.protocol.get("methods", ()))


def evaluation_lines(engine: Engine, model_name: str) -> tuple[EvaluationLine, ...]:
    """All evaluations of a model's versions, the last saved first."""
    of = EvaluationRow
    query = (
        select(of.id, ModelVersionRow.version, of.model_digest, of.split_digest, of.protocol_digest, of.split_name)
        .add_columns(
            of.target_layer,
            of.baseline_version,
            of.in_production,
            of.verdict_status,
            of.verdict_sentence,
            of.updated_at,
            ModelVersionRow.seed_group,
        )
        .join(ModelVersionRow, ModelVersionRow.id == of.model_version_id)
        .where(ModelVersionRow.name_digest == name_digest(model_name))
        .order_by(of.updated_at.desc(), of.id.desc())
    )
    with reading(engine) as connection:
        return tuple(
            EvaluationLine(
                id=row.id,
                version=row.version,
                model_digest=row.model_digest,
                split_digest=row.split_digest,
                protocol_digest=row.protocol_digest,
                split_name=row.split_name,
                target_layer=row.target_layer,
                baseline_version=row.baseline_version,
                in_production=row.in_production,
                verdict=Status(row.verdict_status),
                sentence=row.verdict_sentence,
                evaluated_at=row.updated_at,
                seed_group=row.seed_group,
            )
            for row in connection.execute(query)
        )


def evaluation_settings(engine: Engine, evaluation_id: int) -> EvaluationSettings:
    """How an evaluation that is stored was measured and judged."""
    query = select(EvaluationRow.policy, EvaluationRow.protocol).where(EvaluationRow.id == evaluation_id)
    with reading(engine) as connection:
        row = connection.execute(query).one()
    return EvaluationSettings(policy=row.policy, protocol=row.protocol)


@dataclass(frozen=True, slots=True, kw_only=True)
class OfModel:
    """What belongs to a model, or to one version of it; None: to any."""

    name: str | None = None
    version: int | None = None

    @property
    def conditions(self) -> list[ColumnElement[bool]]:
        """On rows that are joined with their model version."""
        conditions = []
        if self.name is not None:
            conditions.append(ModelVersionRow.name_digest == name_digest(self.name))
        if self.version is not None:
            conditions.append(ModelVersionRow.version == self.version)
        return conditions


def is_stored(engine: Engine, evaluation_id: int) -> bool:
    """Whether there is such an evaluation."""
    with reading(engine) as connection:
        query = select(EvaluationRow.id).where(EvaluationRow.id == evaluation_id)
        return connection.execute(query).first() is not None


def some_evaluations(
    engine: Engine, of: OfModel, evaluation_id: int | None, limit: int | None, offset: int
) -> tuple[tuple[EvaluationItem, ...], int]:
    """Some of a model's evaluations, the last saved first, or the one with an id; and how many there are in all."""
    of_version: dict[str, Any] = {
        "model_name": ModelVersionRow.name.label("model_name"),
        "version": ModelVersionRow.version,
    }
    of_evaluation = EvaluationRow.__table__.columns
    names = [field.name for field in fields(EvaluationItem)]
    columns = [of_version[name] if name in of_version else of_evaluation[name] for name in names]
    one = [] if evaluation_id is None else [EvaluationRow.id == evaluation_id]
    query = (
        select(*columns)
        .join(ModelVersionRow, ModelVersionRow.id == EvaluationRow.model_version_id)
        .where(*of.conditions, *one)
        .order_by(EvaluationRow.updated_at.desc(), EvaluationRow.id.desc())
    )
    rows, total = some_values_of(engine, query, limit, offset)
    return tuple(EvaluationItem(**{**row, "verdict_status": Status(row["verdict_status"])}) for row in rows), total
