"""What the overview shows of every model."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Row, and_, func, select

from case_monitor.alerts.override import Override
from case_monitor.domain.policy import Severity
from case_monitor.domain.status import Status
from case_monitor.store.connection import reading
from case_monitor.store.read.champions import champions
from case_monitor.store.read.overrides import overrides
from case_monitor.store.tables import AlertRow, EvaluationRow, MetricSummaryRow, ModelVersionRow, ReproductionRow


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionQuality:
    """Pair contrast of one version, as it was evaluated last; None where it is undefined or was not measured."""

    version: int
    evaluation_id: int
    verdict: Status
    pair_contrast: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOverview:
    """One monitored model. `champion` is the last version that is known to have held the alias.

    `override` says by whom, why and until when it does so against the verdict; None: it does not.

    `newest` is the evaluated version with the highest number, with its last evaluation; `quality` has the last
    versions in ascending order.
    """

    name: str
    champion: int | None
    override: Override | None
    newest: int
    evaluation_id: int
    verdict: Status
    sentence: str
    accuracy: float | None
    gate_method: str
    quality: tuple[VersionQuality, ...]
    open_alerts: dict[Severity, int]
    last_check: datetime


def read_overview(engine: Engine, alias: str, *, versions: int = 30) -> tuple[ModelOverview, ...]:
    """Every model that was ever evaluated, by name.

    Args:
        engine: the results database.
        alias: which marks the version in production.
        versions: how many of each model's versions `quality` shows.
    """
    with reading(engine) as connection:
        latest = _latest_of_versions(connection, versions)
        in_production = champions(connection, alias)
        overridden = {d: o for d, o in overrides(connection, alias).items() if o.version == in_production.get(d)}
        checks = _last_checks(connection)
        alerts = _open_alerts(connection)
    return tuple(
        ModelOverview(
            name=rows[0].name,
            champion=in_production.get(digest),
            override=overridden.get(digest),
            newest=rows[0].version,
            evaluation_id=rows[0].id,
            verdict=Status(rows[0].verdict_status),
            sentence=rows[0].verdict_sentence,
            accuracy=rows[0].accuracy,
            gate_method=rows[0].gate_method,
            quality=tuple(_quality(row) for row in reversed(rows)),
            open_alerts={severity: alerts.get((digest, severity.value), 0) for severity in Severity},
            last_check=checks[digest],
        )
        for digest, rows in sorted(latest.items(), key=lambda item: item[1][0].name)
    )


def count_open_alerts(engine: Engine) -> int:
    """Of all models."""
    with reading(engine) as connection:
        return connection.execute(
            select(func.count()).select_from(AlertRow).where(AlertRow.resolved_at.is_(None))
        ).scalar_one()


def _quality(row: Row[Any]) -> VersionQuality:
    return VersionQuality(
        version=row.version, evaluation_id=row.id, verdict=Status(row.verdict_status), pair_contrast=row.pair_contrast
    )


def _latest_of_versions(connection: Connection, versions: int) -> dict[str, list[Row[Any]]]:
    """Digest of the name -> the last evaluation of each of the last versions, the newest version first."""
    of_model = func.row_number().over(partition_by=ModelVersionRow.name_digest, order_by=ModelVersionRow.version.desc())
    ranked = select(ModelVersionRow.__table__, of_model.label("place")).subquery()
    again = func.row_number().over(
        partition_by=EvaluationRow.model_version_id, order_by=(EvaluationRow.updated_at.desc(), EvaluationRow.id.desc())
    )
    last = (
        select(EvaluationRow.id, ranked.c.name, ranked.c.name_digest, ranked.c.version, ranked.c.place)
        .add_columns(again.label("again"))
        .join(ranked, ranked.c.id == EvaluationRow.model_version_id)
        .where(ranked.c.place <= versions)
        .subquery()
    )
    gate_method = EvaluationRow.policy["gate_method"].as_string()
    contrast, accuracy = MetricSummaryRow.__table__.alias(), MetricSummaryRow.__table__.alias()
    query = (
        select(last.c.name, last.c.name_digest, last.c.version, EvaluationRow.id)
        .add_columns(EvaluationRow.verdict_status, EvaluationRow.verdict_sentence)
        .add_columns(gate_method.label("gate_method"))
        .add_columns(contrast.c.value.label("pair_contrast"), accuracy.c.value.label("accuracy"))
        .join(EvaluationRow, EvaluationRow.id == last.c.id)
        .outerjoin(contrast, _overall(contrast, "pair_contrast"))
        .outerjoin(accuracy, _overall(accuracy, "accuracy") & (last.c.place == 1))
        .where(last.c.again == 1)
        .order_by(last.c.version.desc())
    )
    found: dict[str, list[Row[Any]]] = defaultdict(list)
    for row in connection.execute(query).all():
        found[row.name_digest].append(row)
    return found


def _overall(table: Any, metric: str) -> ColumnElement[bool]:
    """Of the model itself, over all classes."""
    return and_(
        table.c.evaluation_id == EvaluationRow.id,
        table.c.metric == metric,
        table.c.method == "",
        table.c.class_idx.is_(None),
    )


def _last_checks(connection: Connection) -> dict[str, datetime]:
    """Digest of the name -> when it was last evaluated, or looked at again."""
    last: dict[str, datetime] = {}
    evaluated = select(ModelVersionRow.name_digest, func.max(EvaluationRow.updated_at)).join(
        EvaluationRow, EvaluationRow.model_version_id == ModelVersionRow.id
    )
    again = (
        select(ModelVersionRow.name_digest, func.max(ReproductionRow.started_at))
        .join(EvaluationRow, EvaluationRow.model_version_id == ModelVersionRow.id)
        .join(ReproductionRow, ReproductionRow.evaluation_id == EvaluationRow.id)
    )
    for query in (evaluated, again):
        for digest, moment in connection.execute(query.group_by(ModelVersionRow.name_digest)):
            last[digest] = max(last.get(digest, moment), moment)
    return last


def _open_alerts(connection: Connection) -> dict[tuple[str, str], int]:
    query = (
        select(AlertRow.name_digest, AlertRow.severity, func.count())
        .where(AlertRow.resolved_at.is_(None))
        .group_by(AlertRow.name_digest, AlertRow.severity)
    )
    return {(digest, severity): count for digest, severity, count in connection.execute(query)}
