"""Reads of the gallery: what is in it, and each picture by itself."""

import io
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from PIL import Image
from sqlalchemy import Connection, Engine, select, tuple_

from case_monitor.store.connection import reading
from case_monitor.store.tables import EvaluationRow, GalleryImageRow, GalleryMapRow, SampleRow, SampleScoreRow


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryEntry:
    """One image of a gallery, without its pictures.

    Attributes:
        position: in the gallery, from 0.
        sample_id: stable name of the image.
        target, top2: class indices; `target` is also what was predicted.
        methods: those that have maps, in the order evaluated.
        agreement: of each method's two maps; None where one of them is degenerate.
        confidence: softmax probability of the predicted class; None where it is not known.
    """

    position: int
    sample_id: str
    target: int
    top2: int
    methods: tuple[str, ...]
    agreement: dict[str, float | None]
    confidence: float | None


def gallery_entries(engine: Engine, evaluation_id: int) -> tuple[GalleryEntry, ...]:
    """What is in an evaluation's gallery, in order; empty if it has none: pruned, or from before it was stored."""
    with reading(engine) as connection:
        images = connection.execute(
            select(
                GalleryImageRow.position,
                GalleryImageRow.sample_id,
                GalleryImageRow.target,
                GalleryImageRow.top2,
                SampleRow.confidence,
            )
            .outerjoin(
                SampleRow,
                (SampleRow.evaluation_id == GalleryImageRow.evaluation_id)
                & (SampleRow.sample_id == GalleryImageRow.sample_id),
            )
            .where(GalleryImageRow.evaluation_id == evaluation_id)
            .order_by(GalleryImageRow.position)
        ).all()
        methods = _methods(connection, evaluation_id)
        agreement = _agreement(connection, evaluation_id)
    return tuple(
        GalleryEntry(
            position=row.position,
            sample_id=row.sample_id,
            target=row.target,
            top2=row.top2,
            methods=methods,
            agreement={method: agreement[row.sample_id].get(method) for method in methods},
            confidence=row.confidence,
        )
        for row in images
    )


def gallery_image(engine: Engine, evaluation_id: int, position: int) -> bytes | None:
    """An image of the gallery, PNG; None if there is no such image."""
    query = select(GalleryImageRow.image).where(
        GalleryImageRow.evaluation_id == evaluation_id, GalleryImageRow.position == position
    )
    with reading(engine) as connection:
        return connection.execute(query).scalar_one_or_none()


def gallery_map(engine: Engine, evaluation_id: int, position: int, method: str, rank: int) -> bytes | None:
    """A map for the class of this rank (1: the predicted class, 2: the runner-up); None if there is no such map.

    PNG of mode LA: grey is the map from 0 to its own maximum; alpha is 255 in its top 5%, 0 elsewhere.
    """
    query = select(GalleryMapRow.image).where(
        GalleryMapRow.evaluation_id == evaluation_id,
        GalleryMapRow.position == position,
        GalleryMapRow.method == method,
        GalleryMapRow.rank == rank,
    )
    with reading(engine) as connection:
        return connection.execute(query).scalar_one_or_none()


def empty_maps(
    engine: Engine, evaluation_id: int, pairs: Collection[tuple[int, str]]
) -> frozenset[tuple[int, str, int]]:
    """Which maps show nothing, because they are degenerate: (position, method, rank).

    Args:
        engine: the results database.
        evaluation_id: whose gallery.
        pairs: (position, method) of the maps to look at: those without an agreement. Each is decoded.
    """
    query = select(GalleryMapRow.position, GalleryMapRow.method, GalleryMapRow.rank, GalleryMapRow.image).where(
        GalleryMapRow.evaluation_id == evaluation_id,
        tuple_(GalleryMapRow.position, GalleryMapRow.method).in_(pairs),
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all() if pairs else ()
    return frozenset((row.position, row.method, row.rank) for row in rows if not _shows_anything(row.image))


def picture_size(engine: Engine, evaluation_id: int) -> tuple[int, int] | None:
    """(width, height) of a gallery's pictures, which are all alike; None if it has none."""
    query = select(GalleryImageRow.image).where(GalleryImageRow.evaluation_id == evaluation_id).limit(1)
    with reading(engine) as connection:
        picture = connection.execute(query).scalar_one_or_none()
    return None if picture is None else Image.open(io.BytesIO(picture)).size


def saved_at(engine: Engine, evaluation_id: int) -> datetime | None:
    """When an evaluation was saved last, and its gallery with it; None if it is not stored."""
    query = select(EvaluationRow.updated_at).where(EvaluationRow.id == evaluation_id)
    with reading(engine) as connection:
        return connection.execute(query).scalar_one_or_none()


def _shows_anything(picture: bytes) -> bool:
    return Image.open(io.BytesIO(picture)).getbbox(alpha_only=False) is not None


def _methods(connection: Connection, evaluation_id: int) -> tuple[str, ...]:
    """Every image of a gallery has maps of the same methods."""
    query = select(GalleryMapRow.method).where(GalleryMapRow.evaluation_id == evaluation_id).distinct()
    found = sorted(connection.execute(query).scalars())
    of_this = select(EvaluationRow.protocol).where(EvaluationRow.id == evaluation_id)
    protocol = connection.execute(of_this).scalar_one_or_none() or {}
    order = {method: place for place, method in enumerate(protocol.get("methods", ()))}
    return tuple(sorted(found, key=lambda method: order.get(method, len(order))))


def _agreement(connection: Connection, evaluation_id: int) -> dict[str, dict[str, float | None]]:
    """Sample id -> method -> agreement, of the images in the gallery."""
    query = (
        select(SampleRow.sample_id, SampleScoreRow.method, SampleScoreRow.value)
        .join(
            SampleScoreRow,
            (SampleScoreRow.evaluation_id == SampleRow.evaluation_id) & (SampleScoreRow.position == SampleRow.position),
        )
        .join(
            GalleryImageRow,
            (GalleryImageRow.evaluation_id == SampleRow.evaluation_id)
            & (GalleryImageRow.sample_id == SampleRow.sample_id),
        )
        .where(SampleRow.evaluation_id == evaluation_id, SampleScoreRow.metric == "agreement")
    )
    found: dict[str, dict[str, float | None]] = defaultdict(dict)
    for sample_id, method, value in connection.execute(query):
        found[sample_id][method] = value
    return found
