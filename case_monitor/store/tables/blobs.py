"""The parts of an evaluation that are read whole or not at all: pictures for people, and what every image is."""

from sqlalchemy import CheckConstraint, ForeignKeyConstraint
from sqlalchemy.orm import Mapped, mapped_column

from case_monitor.store.tables.evaluation_parts import ChildRow


class GalleryImageRow(ChildRow):
    """One image of the gallery, as people see it."""

    __tablename__ = "gallery_images"

    position: Mapped[int] = mapped_column(primary_key=True)
    sample_id: Mapped[str]
    target: Mapped[int]
    top2: Mapped[int]
    image: Mapped[bytes]


class GalleryMapRow(ChildRow):
    """The map of one method for the first or the second class of an image of the gallery."""

    __tablename__ = "gallery_maps"
    __table_args__ = (
        ForeignKeyConstraint(
            ["evaluation_id", "position"],
            ["gallery_images.evaluation_id", "gallery_images.position"],
            ondelete="CASCADE",
        ),
        CheckConstraint("rank IN (1, 2)", name="rank"),
    )

    evaluation_id: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    method: Mapped[str] = mapped_column(primary_key=True)
    rank: Mapped[int] = mapped_column(primary_key=True)
    image: Mapped[bytes]


class PredictionsRow(ChildRow):
    """What every image of the split is, and what it is predicted as, in the split's order."""

    __tablename__ = "predictions"

    n: Mapped[int]
    target: Mapped[bytes]
    preds: Mapped[bytes]
