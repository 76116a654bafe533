"""The outbox of notices: taken by one run at a time, marked when sent, found again when that failed."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, select, update

from case_monitor.alerts.life import NoticeKind
from case_monitor.alerts.notice import Notice
from case_monitor.domain.policy import Severity
from case_monitor.store.connection import writing
from case_monitor.store.tables import AlertNoticeRow, AlertRow

LEASE = timedelta(minutes=10)  # a run that died while sending loses its claim after this
GIVE_UP_AFTER = timedelta(days=7)


def claim_notices(engine: Engine) -> list[Notice]:
    """Take all notices that are to be sent, the oldest first; until they are settled no other run takes them."""
    now = datetime.now(UTC)
    is_due = (
        AlertNoticeRow.sent_at.is_(None),
        AlertNoticeRow.created_at > now - GIVE_UP_AFTER,
        AlertNoticeRow.claimed_until.is_(None) | (AlertNoticeRow.claimed_until < now),
    )
    with writing(engine) as connection:
        claim = update(AlertNoticeRow).where(*is_due).values(claimed_until=now + LEASE)
        claimed = connection.execute(claim.returning(AlertNoticeRow.id)).scalars().all()
        query = (
            select(AlertNoticeRow.__table__, AlertRow.model_name, AlertRow.severity)
            .join(AlertRow, AlertRow.id == AlertNoticeRow.alert_id)
            .where(AlertNoticeRow.id.in_(claimed))
            .order_by(AlertNoticeRow.id)
        )
        rows = connection.execute(query).mappings().all()
    return [
        Notice(
            id=row["id"],
            kind=NoticeKind(row["kind"]),
            severity=Severity(row["severity"]),
            model_name=row["model_name"],
            title=row["title"],
            body=row["body"],
            delivered_to=tuple(row["delivered_to"]),
        )
        for row in rows
    ]


def settle_notices(engine: Engine, delivered: Mapping[int, tuple[str, ...]], channels: set[str]) -> None:
    """Give claimed notices back.

    Args:
        engine: the results database.
        delivered: notice -> the channels that took it, now or before.
        channels: all channels; a notice that each has taken is sent, and where there are none, so is every notice.
    """
    now = datetime.now(UTC)
    with writing(engine) as connection:
        for notice_id, took_it in delivered.items():
            values = {
                "claimed_until": None,
                "delivered_to": list(took_it),
                "sent_at": now if channels <= set(took_it) else None,
            }
            connection.execute(update(AlertNoticeRow).where(AlertNoticeRow.id == notice_id).values(values))
