"""Retention: what is bulky and old goes, what people decided on and why stays."""

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Connection, Engine, delete, exists, func, or_, select
from sqlalchemy.orm import aliased

from case_monitor.store.connection import reading, writing
from case_monitor.store.tables import (
    AlertRow,
    ChildRow,
    EvaluationRow,
    GalleryImageRow,
    GalleryMapRow,
    PredictionsRow,
    SampleRow,
    SampleScoreRow,
)

# Children before parents: an image's scores before it.
_PER_IMAGE: tuple[type[ChildRow], ...] = (SampleScoreRow, SampleRow, GalleryMapRow, GalleryImageRow, PredictionsRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruned:
    """How much was deleted, or would be. `images` were explained; each has many `scores`, and few have `pictures`."""

    evaluations: int
    images: int
    scores: int
    pictures: int


def prune_scores(engine: Engine, before: datetime, *, dry_run: bool = False) -> Pruned:
    """Delete what is stored per image of the evaluations saved last before a time.

    The latest evaluation of each version keeps it, however old: the nightly check and the comparison with production
    read it. Each evaluation is a transaction, so that nobody waits for long, and what is done stays done.
    """
    with reading(engine) as connection:
        old = select(EvaluationRow.id).where(*_is_prunable(before)).order_by(EvaluationRow.id)
        evaluation_ids = connection.execute(old).scalars().all()
        found = [_counts(connection, i) for i in evaluation_ids] if dry_run else []
    if not dry_run:
        found = [deleted for i in evaluation_ids if (deleted := _prune_evaluation(engine, i, before))]
    rows = sum(found, Counter[type[ChildRow]]())
    return Pruned(
        evaluations=len(found),
        images=rows[SampleRow],
        scores=rows[SampleScoreRow],
        pictures=rows[GalleryImageRow] + rows[GalleryMapRow],
    )


def prune_alerts(engine: Engine, before: datetime, *, dry_run: bool = False) -> int:
    """Delete alerts resolved before a time, with their notices; what evaluations observed stays. Returns how many.

    One whose mute goes on is kept: if the same opens again, it is muted as well.
    """
    is_over = (
        AlertRow.resolved_at < before,
        AlertRow.muted_until.is_(None) | (AlertRow.muted_until < datetime.now(UTC)),
    )
    if dry_run:
        with reading(engine) as connection:
            return connection.execute(select(func.count()).select_from(AlertRow).where(*is_over)).scalar_one()
    with writing(engine) as connection:
        return connection.execute(delete(AlertRow).where(*is_over)).rowcount


def _is_prunable(before: datetime) -> tuple[ColumnElement[bool], ...]:
    later = aliased(EvaluationRow)
    is_later = (later.updated_at > EvaluationRow.updated_at) | (
        (later.updated_at == EvaluationRow.updated_at) & (later.id > EvaluationRow.id)
    )
    return (
        EvaluationRow.updated_at < before,
        exists().where(later.model_version_id == EvaluationRow.model_version_id, is_later),
        or_(*(exists().where(table.evaluation_id == EvaluationRow.id) for table in (SampleRow, PredictionsRow))),
    )


def _prune_evaluation(engine: Engine, evaluation_id: int, before: datetime) -> Counter[type[ChildRow]] | None:
    """Rows deleted; None if the evaluation was saved again, or pruned, since it was found."""
    mine = (EvaluationRow.id == evaluation_id, *_is_prunable(before))
    with writing(engine) as connection:
        # Locked: who saves it now waits, or was first and is seen here.
        if connection.execute(select(EvaluationRow.id).where(*mine).with_for_update()).one_or_none() is None:
            return None
        deletes = {table: delete(table).where(table.evaluation_id == evaluation_id) for table in _PER_IMAGE}
        return Counter({table: connection.execute(rows).rowcount for table, rows in deletes.items()})


def _counts(connection: Connection, evaluation_id: int) -> Counter[type[ChildRow]]:
    rows = {
        table: select(func.count()).select_from(table).where(table.evaluation_id == evaluation_id)
        for table in _PER_IMAGE
    }
    return Counter({table: connection.execute(query).scalar_one() for table, query in rows.items()})
