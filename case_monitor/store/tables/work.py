"""Who works on what, and what waits: schedulers start twice, servers send twice or are gone, machines are several."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from case_monitor.store.tables.base import Base


class ClaimRow(Base):
    """One run at a time works on a resource, and says again and again that it still does."""

    __tablename__ = "claims"

    resource: Mapped[str] = mapped_column(primary_key=True)
    holder: Mapped[str]
    host: Mapped[str | None]
    process: Mapped[str | None]
    claimed_at: Mapped[datetime]
    expires_at: Mapped[datetime]


class AnnouncementRow(Base):
    """A registered version of which the orchestration was told."""

    __tablename__ = "announcements"

    name_digest: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    model_name: Mapped[str]
    announced_at: Mapped[datetime]
    times: Mapped[int]


class WebhookDeliveryRow(Base):
    """A delivery that was taken; it is not taken again."""

    __tablename__ = "webhook_deliveries"

    delivery_digest: Mapped[str] = mapped_column(primary_key=True)
    received_at: Mapped[datetime]


class OutboxRow(Base):
    """Evidence of an evaluation that MLflow has not got yet."""

    __tablename__ = "outbox"

    evaluation_id: Mapped[int] = mapped_column(ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True)
    run_key: Mapped[str]
    made_at: Mapped[datetime]
    content: Mapped[dict[str, Any]]
    files: Mapped[bytes]
    tries: Mapped[int]
    failure: Mapped[str | None]
