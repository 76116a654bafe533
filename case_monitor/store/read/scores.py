"""Reads of the scores per image, which are the bulk of the database."""

from collections import defaultdict
from dataclasses import dataclass, fields
from datetime import datetime

import numpy as np
from sqlalchemy import Connection, Engine, and_, exists, select

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.scores import SampleScores
from case_monitor.store.connection import reading
from case_monitor.store.read.rows import some_values_of, values_of
from case_monitor.store.tables import EvaluationRow, SampleRow, SampleScoreRow


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScore:
    """A score of an explained image."""

    sample_id: str
    target: int
    top2: int
    confidence: float
    method: str
    metric: str
    value: float


def find_scores(
    engine: Engine, model_digest: str, split_digest: str, protocol_digest: str, since: datetime | None = None
) -> dict[str, SampleScores]:
    """The scores of a model under a protocol by target layer, each from whichever evaluation was saved last.

    One saved before `since` does not count.

    Scores of old evaluations may be deleted (`db prune`): the last that has some counts.

    Policy and baseline do not matter: they judge scores and do not change them. Only the contrast that people are shown
    is of the policy's `gate_method`, and the scores say of which one it was.
    """
    of_these = (
        EvaluationRow.model_digest == model_digest,
        EvaluationRow.split_digest == split_digest,
        EvaluationRow.protocol_digest == protocol_digest,
        *([] if since is None else [EvaluationRow.updated_at >= since]),
        exists().where(SampleRow.evaluation_id == EvaluationRow.id),
    )
    with reading(engine) as connection:
        stored = select(EvaluationRow.target_layer, EvaluationRow.id).where(*of_these)
        rows = connection.execute(stored.order_by(EvaluationRow.updated_at)).all()
    latest = {row.target_layer: row.id for row in rows}  # the last of each layer stays
    found = {layer: load_scores(engine, evaluation_id) for layer, evaluation_id in latest.items()}
    return {layer: scores for layer, scores in found.items() if scores is not None}


def load_scores(engine: Engine, evaluation_id: int) -> SampleScores | None:
    """The scores of an evaluation as they were saved; None if it explained no image, or its scores were pruned."""
    with reading(engine) as connection:
        samples = connection.execute(
            select(SampleRow.__table__).where(SampleRow.evaluation_id == evaluation_id).order_by(SampleRow.position)
        ).all()
        rows = connection.execute(
            select(SampleScoreRow.method, SampleScoreRow.metric, SampleScoreRow.position, SampleScoreRow.value).where(
                SampleScoreRow.evaluation_id == evaluation_id
            )
        )
        values: dict[tuple[str, str], FloatArray] = {}
        for method, metric, position, value in rows:
            column = values.setdefault((method, metric), np.full(len(samples), np.nan))
            column[position] = np.nan if value is None else value
    if not values:
        return None
    return SampleScores(
        sample_ids=tuple(row.sample_id for row in samples),
        target=np.array([row.target for row in samples], dtype=np.int64),
        top2=np.array([row.top2 for row in samples], dtype=np.int64),
        confidence=np.array([row.confidence for row in samples], dtype=np.float64),
        values=values,
        broken_passes=np.array([row.broken_passes for row in samples], dtype=np.int64),
    )


def agreements(connection: Connection, evaluation_id: int) -> dict[str, tuple[float, ...]]:
    """Method -> the agreement of every explained image; none where the scores were pruned."""
    query = select(SampleScoreRow.method, SampleScoreRow.value).where(
        SampleScoreRow.evaluation_id == evaluation_id, SampleScoreRow.metric == "agreement"
    )
    found: dict[str, list[float]] = defaultdict(list)
    for row in values_of(connection, query):
        found[row["method"]].append(row["value"])
    return {method: tuple(values) for method, values in found.items()}


def some_scores(
    engine: Engine, evaluation_id: int, metric: str | None, method: str | None, limit: int | None, offset: int
) -> tuple[tuple[StoredScore, ...], int]:
    """Some of all scores, or of those of a metric or method, and how many there are in all."""
    table = SampleScoreRow
    of_sample = and_(SampleRow.evaluation_id == table.evaluation_id, SampleRow.position == table.position)
    asked = [table.metric == metric] * (metric is not None) + [table.method == method] * (method is not None)
    query = (
        select(*(getattr(table if hasattr(table, f.name) else SampleRow, f.name) for f in fields(StoredScore)))
        .select_from(table)
        .join(SampleRow, of_sample)
        .where(table.evaluation_id == evaluation_id, *asked)
        .order_by(*table.__table__.primary_key)
    )
    rows, total = some_values_of(engine, query, limit, offset)
    return tuple(StoredScore(**row) for row in rows), total
