"""Whether stored evaluations still come out."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from case_monitor.store.tables.base import Base


class ReproductionRow(Base):
    """One night's look at a stored evaluation: a few of its images, predicted and explained again."""

    __tablename__ = "reproductions"
    __table_args__ = (Index(None, "evaluation_id", "started_at"), Index(None, "started_at"))

    run_id: Mapped[str] = mapped_column(primary_key=True)
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True)
    started_at: Mapped[datetime]
    n: Mapped[int]
    changed_predictions: Mapped[int]
    confidence_difference: Mapped[float | None]
    score_difference: Mapped[float | None]
    worst: Mapped[str]
    reproduced: Mapped[bool]
    device: Mapped[str]
    torch_version: Mapped[str]
    package_version: Mapped[str]
