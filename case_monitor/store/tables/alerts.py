"""Alerts with a life, the notices about them, and how far they have come."""

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from case_monitor.alerts.life import NoticeKind, Scope
from case_monitor.domain.policy import Severity
from case_monitor.domain.status import Status
from case_monitor.store.tables.base import Base, one_of

_IDENTITY = ("name_digest", "scope", "rule", "method")


def _open_and(condition: str) -> dict[str, Any]:
    where = text(f"resolved_at IS NULL AND {condition}")
    return {"unique": True, "sqlite_where": where, "postgresql_where": where}


class AlertRow(Base):
    """One life of an alert, from opening to resolving; the figures are those of the latest observation.

    Two partial unique indexes keep one open alert per identity, because NULLs are distinct in a UNIQUE constraint.
    """

    __tablename__ = "alerts"
    __table_args__ = (
        # Pages ask for the last of each of these.
        *(Index(None, column) for column in ("last_seen_at", "resolved_at", "acknowledged_at")),
        *(Index(None, column) for column in ("muted_until", "muted_at")),
        Index("uq_alerts_open_overall", *_IDENTITY, **_open_and("class_idx IS NULL")),
        Index("uq_alerts_open_per_class", *_IDENTITY, "class_idx", **_open_and("class_idx IS NOT NULL")),
        one_of("scope", Scope),
        one_of("severity", Severity),
        one_of("status", Status),
        one_of("worst_severity", Severity),
        one_of("worst_status", Status),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    model_name: Mapped[str]
    name_digest: Mapped[str]
    scope: Mapped[str]
    rule: Mapped[str]
    method: Mapped[str]
    class_idx: Mapped[int | None]
    class_name: Mapped[str | None]
    version: Mapped[int]
    baseline_version: Mapped[int | None]
    severity: Mapped[str]
    status: Mapped[str]
    worst_severity: Mapped[str]
    worst_status: Mapped[str]
    observed: Mapped[float | None]
    limit_value: Mapped[float | None]
    message: Mapped[str]
    advice: Mapped[str]
    opened_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    observations: Mapped[int]
    resolved_at: Mapped[datetime | None]
    resolution: Mapped[str | None]
    acknowledged_at: Mapped[datetime | None]
    acknowledged_by: Mapped[str | None]
    muted_until: Mapped[datetime | None]
    mute_reason: Mapped[str | None]
    muted_at: Mapped[datetime | None]
    muted_by: Mapped[str | None]


class AlertMarkRow(Base):
    """The last run that was applied to a model's alerts: it is not applied twice, and no older one after it."""

    __tablename__ = "alert_marks"
    __table_args__ = (one_of("scope", Scope),)

    name_digest: Mapped[str] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(primary_key=True)
    run_id: Mapped[str]
    started_at: Mapped[datetime]


class AlertNoticeRow(Base):
    """The outbox: written with the change that it tells of, sent after it, so that no crash loses it."""

    __tablename__ = "alert_notices"
    __table_args__ = (one_of("kind", NoticeKind),)

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_id: Mapped[int] = mapped_column(ForeignKey("alerts.id", ondelete="CASCADE"))
    kind: Mapped[str]
    title: Mapped[str]
    body: Mapped[str]
    created_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    delivered_to: Mapped[list[str]]
    sent_at: Mapped[datetime | None]
