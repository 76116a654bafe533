"""What waits in the outbox: evidence that MLflow has not got yet."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, func, select

from case_monitor.domain.evidence import Evidence
from case_monitor.store.connection import reading
from case_monitor.store.tables import EvaluationRow, ModelVersionRow, OutboxRow


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """What waits: of how many evaluations, the oldest since when, and why the last try came to nothing."""

    count: int
    since: datetime | None
    failure: str | None


def waiting_ids(engine: Engine) -> list[int]:
    """The evaluations whose evidence waits, the oldest first."""
    query = select(OutboxRow.evaluation_id).order_by(OutboxRow.made_at, OutboxRow.evaluation_id)
    with reading(engine) as connection:
        return list(connection.execute(query).scalars())


def load_evidence(engine: Engine, evaluation_id: int) -> Evidence | None:
    """What waits of an evaluation; None if nothing does any more."""
    query = (
        select(OutboxRow.__table__, ModelVersionRow.name, ModelVersionRow.version)
        .join(EvaluationRow, EvaluationRow.id == OutboxRow.evaluation_id)
        .join(ModelVersionRow, ModelVersionRow.id == EvaluationRow.model_version_id)
        .where(OutboxRow.evaluation_id == evaluation_id)
    )
    with reading(engine) as connection:
        row = connection.execute(query).mappings().one_or_none()
    if row is None:
        return None
    return Evidence(
        model_name=row["name"],
        version=row["version"],
        key=row["run_key"],
        made_at=row["made_at"],
        files=row["files"],
        **row["content"],
    )


def look_into(engine: Engine) -> Waiting:
    """What waits, for people."""
    with reading(engine) as connection:
        count, since = connection.execute(select(func.count(), func.min(OutboxRow.made_at))).one()
        last = select(OutboxRow.failure).where(OutboxRow.failure.is_not(None)).order_by(OutboxRow.made_at).limit(1)
        return Waiting(count=count, since=since, failure=connection.execute(last).scalar_one_or_none())
