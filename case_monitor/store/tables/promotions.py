"""What was decided on the evaluations."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from case_monitor.domain.promotion import Decision
from case_monitor.store.tables.base import Base, one_of


class PromotionRow(Base):
    """The audit log. RESTRICT: evidence that a decision rests on cannot be deleted from under it."""

    __tablename__ = "promotions"
    __table_args__ = (
        # A decision that is retried is found again while it is open. Once applied it is history: the same
        # decision on the same evidence, after somebody moved the alias back, is a new entry.
        Index(
            "uq_promotions_open",
            "evaluation_id",
            "alias",
            "decision",
            unique=True,
            sqlite_where=text("applied_at IS NULL"),
            postgresql_where=text("applied_at IS NULL"),
        ),
        Index(None, "evaluation_id"),
        Index(None, "applied_at"),
        one_of("decision", Decision),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_name: Mapped[str]
    alias: Mapped[str]
    version: Mapped[int]
    previous_version: Mapped[int | None]
    decision: Mapped[str]
    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluations.id", ondelete="RESTRICT"))
    reason: Mapped[str]
    decided_at: Mapped[datetime]
    applied_at: Mapped[datetime | None]
    decided_by: Mapped[str | None]
    valid_until: Mapped[datetime | None]


class PromotionRunRow(Base):
    """Which entry a run of Prefect came to: who waits for that run asks for its decision, and for no other."""

    __tablename__ = "promotion_runs"

    flow_run_id: Mapped[str] = mapped_column(primary_key=True)
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id", ondelete="CASCADE"))
