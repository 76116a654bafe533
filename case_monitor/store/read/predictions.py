"""Reads of what every image of a split is, and what it was predicted as."""

from sqlalchemy import Engine, select

from case_monitor.domain.arrays import IntArray
from case_monitor.store.connection import reading
from case_monitor.store.packed_classes import unpack
from case_monitor.store.tables import PredictionsRow


def load_predictions(engine: Engine, evaluation_id: int) -> tuple[IntArray, IntArray] | None:
    """(N,) target and (N,) predicted class indices; None if there are none: pruned, or from before they were stored.

    They are in the split's order: evaluations of the same `split_digest` are of the same images in the same order.
    An image without a prediction, because a logit of it is not finite, has -1.
    """
    query = select(PredictionsRow.target, PredictionsRow.preds).where(PredictionsRow.evaluation_id == evaluation_id)
    with reading(engine) as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else (unpack(row.target), unpack(row.preds))
