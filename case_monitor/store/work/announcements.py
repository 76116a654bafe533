"""Which registered versions the orchestration was told of, and which it is to be told of again."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, func, select

from case_monitor.store.connection import reading, writing
from case_monitor.store.tables import AnnouncementRow, EvaluationRow, ModelVersionRow, name_digest
from case_monitor.store.write.rows import bindable, dialect_insert

FIRST_WAIT, LONGEST_WAIT = timedelta(minutes=10), timedelta(days=1)


def note_announcement(engine: Engine, name: str, version: int) -> None:
    """Remember that the orchestration was told of a version, once more."""
    row = {
        "name_digest": name_digest(name),
        "version": version,
        "model_name": name,
        "announced_at": datetime.now(UTC),
        "times": 1,
    }
    with writing(engine) as connection:
        statement = dialect_insert(connection, AnnouncementRow).values(bindable(AnnouncementRow, row))
        again = {"announced_at": statement.excluded.announced_at, "times": AnnouncementRow.times + 1}
        connection.execute(statement.on_conflict_do_update(index_elements=["name_digest", "version"], set_=again))


def due(engine: Engine, name: str, versions: Iterable[int]) -> list[int]:
    """The versions without a published evaluation that were never announced, or so long ago that it came to nothing.

    Each time twice as long is waited for, up to a day: a version that cannot be evaluated is not tried every minute.
    """
    here = AnnouncementRow.name_digest == name_digest(name)
    with reading(engine) as connection:
        announced = {
            row.version: (row.announced_at, row.times)
            for row in connection.execute(
                select(AnnouncementRow.version, AnnouncementRow.announced_at, AnnouncementRow.times).where(here)
            )
        }
        evaluated = set(
            connection.execute(
                select(ModelVersionRow.version)
                .join(EvaluationRow, EvaluationRow.model_version_id == ModelVersionRow.id)
                .where(ModelVersionRow.name_digest == name_digest(name), EvaluationRow.mlflow_run_id.is_not(None))
                .distinct()
            ).scalars()
        )
    now = datetime.now(UTC)
    open_versions = sorted(set(versions) - evaluated)
    return [v for v in open_versions if v not in announced or now > announced[v][0] + _wait(announced[v][1])]


def count_open(engine: Engine) -> int:
    """Announced versions that have no published evaluation yet."""
    evaluated = (
        select(ModelVersionRow.name_digest)
        .join(EvaluationRow, EvaluationRow.model_version_id == ModelVersionRow.id)
        .where(
            ModelVersionRow.name_digest == AnnouncementRow.name_digest,
            ModelVersionRow.version == AnnouncementRow.version,
            EvaluationRow.mlflow_run_id.is_not(None),
        )
        .exists()
    )
    with reading(engine) as connection:
        return connection.execute(select(func.count()).select_from(AnnouncementRow).where(~evaluated)).scalar_one()


def _wait(times: int) -> timedelta:
    return min(FIRST_WAIT * 2.0 ** min(times - 1, 20), LONGEST_WAIT)
