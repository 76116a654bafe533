"""What one model's page shows: its evaluations in short, and their figures by column."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, func, select

from case_monitor.domain.verdict import Status
from case_monitor.store.connection import reading
from case_monitor.store.read.champions import champions
from case_monitor.store.tables import EvaluationRow, MetricSummaryRow, ModelVersionRow, ReproductionRow, name_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationLine:
    """An evaluation in a line: without its class names and settings, which are long, and without its figures."""

    id: int
    version: int
    model_digest: str
    split_digest: str
    protocol_digest: str
    split_name: str
    baseline_version: int | None
    in_production: bool
    verdict: Status
    sentence: str
    evaluated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFigure:
    """One figure over all classes; None where it is undefined."""

    value: float | None
    ci_low: float | None
    ci_high: float | None
    n: int


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
        .add_columns(of.baseline_version, of.in_production, of.verdict_status, of.verdict_sentence, of.updated_at)
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
                baseline_version=row.baseline_version,
                in_production=row.in_production,
                verdict=Status(row.verdict_status),
                sentence=row.verdict_sentence,
                evaluated_at=row.updated_at,
            )
            for row in connection.execute(query)
        )


def evaluation_settings(engine: Engine, evaluation_id: int) -> EvaluationSettings:
    """How an evaluation that is stored was measured and judged."""
    query = select(EvaluationRow.policy, EvaluationRow.protocol).where(EvaluationRow.id == evaluation_id)
    with reading(engine) as connection:
        row = connection.execute(query).one()
    return EvaluationSettings(policy=row.policy, protocol=row.protocol)


def champion_and_last_look(engine: Engine, model_name: str, alias: str) -> tuple[int | None, datetime | None]:
    """The version last known to hold the alias, and when a stored evaluation was last looked at again."""
    digest = name_digest(model_name)
    last_look = (
        select(func.max(ReproductionRow.started_at))
        .join(EvaluationRow, EvaluationRow.id == ReproductionRow.evaluation_id)
        .join(ModelVersionRow, ModelVersionRow.id == EvaluationRow.model_version_id)
        .where(ModelVersionRow.name_digest == digest)
    )
    with reading(engine) as connection:
        return champions(connection, alias, digest).get(digest), connection.execute(last_look).scalar_one()


def overall_figures(
    engine: Engine, evaluation_ids: Collection[int], wanted: Mapping[str, Collection[str]]
) -> dict[tuple[str, str], dict[int, StoredFigure]]:
    """Figures over all classes.

    Args:
        engine: the results database.
        evaluation_ids: of whichever evaluations.
        wanted: metric -> saliency methods; "" for metrics of the model itself.

    Returns:
        (metric, method) -> id of the evaluation -> figure; without those that were not measured.
    """
    table = MetricSummaryRow
    # Metric, method and evaluation, each by itself: so the partial index of the overall rows is used as a whole. With
    # a condition on pairs, PostgreSQL reads all of a metric, whichever evaluation it is of.
    methods = sorted({method for some in wanted.values() for method in some})
    of_these = (table.metric.in_(wanted), table.method.in_(methods), table.evaluation_id.in_(evaluation_ids))
    query = select(
        table.metric, table.method, table.evaluation_id, table.value, table.ci_low, table.ci_high, table.n
    ).where(*of_these, table.class_idx.is_(None))
    found: dict[tuple[str, str], dict[int, StoredFigure]] = defaultdict(dict)
    with reading(engine) as connection:
        for metric, method, evaluation_id, value, low, high, n in connection.execute(query):
            if method in wanted[metric]:
                found[metric, method][evaluation_id] = StoredFigure(value=value, ci_low=low, ci_high=high, n=n)
    return dict(found)
