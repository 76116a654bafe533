"""Which versions are in production, as far as the results database can tell."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Select, func, or_, select

from case_monitor.domain.promotion import Decision
from case_monitor.store.connection import reading
from case_monitor.store.tables import EvaluationRow, ModelVersionRow, PromotionRow, ReproductionRow, name_digest

_APPLIED = [Decision.PROMOTED.value, Decision.KEPT.value, Decision.OVERRIDDEN.value]


def last_champion(engine: Engine, model_name: str, alias: str) -> tuple[int, datetime] | None:
    """The version that was last seen in production, and when; None if none ever was."""
    digest = name_digest(model_name)
    with reading(engine) as connection:
        found = _last_seen(connection, alias, digest).get(digest)
    return None if found is None else (found[1], found[0])


def champions(connection: Connection, alias: str, name_digest: str | None = None) -> dict[str, int]:
    """Digest of the name -> what was last seen in production: by an evaluation, or because we put it there.

    Args:
        connection: to the results database.
        alias: which marks the version in production.
        name_digest: of one model; None for all.
    """
    return {digest: version for digest, (_, version) in _last_seen(connection, alias, name_digest).items()}


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


def _last_seen(connection: Connection, alias: str, name_digest: str | None) -> dict[str, tuple[datetime, int]]:
    last: dict[str, tuple[datetime, int]] = {}
    for digest, moment, version in (
        *_seen_in_production(connection, name_digest),
        *_promoted(connection, alias, name_digest),
    ):
        last[digest] = max(last.get(digest, (moment, version)), (moment, version))
    return last


def _seen_in_production(connection: Connection, name_digest: str | None) -> Iterator[tuple[str, datetime, int]]:
    """An evaluation of the alias's holder, or one that was compared with the holder."""
    tells = or_(EvaluationRow.in_production, EvaluationRow.baseline_version.is_not(None))
    order = EvaluationRow.updated_at.desc()
    place = func.row_number().over(partition_by=ModelVersionRow.name_digest, order_by=order).label("place")
    query = (
        select(ModelVersionRow.name_digest, ModelVersionRow.version, EvaluationRow.baseline_version)
        .add_columns(EvaluationRow.in_production, EvaluationRow.updated_at, place)
        .join(ModelVersionRow, ModelVersionRow.id == EvaluationRow.model_version_id)
        .where(tells)
    )
    rows = _of_model(query, name_digest).subquery()
    for row in connection.execute(select(rows).where(rows.c.place == 1)):
        yield row.name_digest, row.updated_at, row.version if row.in_production else row.baseline_version


def _promoted(connection: Connection, alias: str, name_digest: str | None) -> Iterator[tuple[str, datetime, int]]:
    query = (
        select(ModelVersionRow.name_digest, PromotionRow.applied_at, PromotionRow.version)
        .join(EvaluationRow, EvaluationRow.id == PromotionRow.evaluation_id)
        .join(ModelVersionRow, ModelVersionRow.id == EvaluationRow.model_version_id)
        .where(
            PromotionRow.alias == alias,
            PromotionRow.decision.in_(_APPLIED),
            PromotionRow.applied_at.is_not(None),
        )
    )
    for row in connection.execute(_of_model(query, name_digest)):
        yield row.name_digest, row.applied_at, row.version


def _of_model(query: Select[Any], name_digest: str | None) -> Select[Any]:
    return query if name_digest is None else query.where(ModelVersionRow.name_digest == name_digest)
