"""Webhook deliveries that were taken, so that none is taken twice."""

import hashlib
from datetime import UTC, datetime, timedelta

from sqlalchemy import Engine, delete

from case_monitor.store.connection import writing
from case_monitor.store.tables import WebhookDeliveryRow
from case_monitor.store.write.rows import bindable, dialect_insert

KEPT = timedelta(hours=1)  # longer than a signature is valid


def take_delivery(engine: Engine, delivery_id: str) -> bool:
    """Whether this delivery comes for the first time; from now on it has come."""
    now = datetime.now(UTC)
    row = {"delivery_digest": _digest(delivery_id), "received_at": now}
    with writing(engine) as connection:
        connection.execute(delete(WebhookDeliveryRow).where(WebhookDeliveryRow.received_at < now - KEPT))
        statement = dialect_insert(connection, WebhookDeliveryRow).values(bindable(WebhookDeliveryRow, row))
        first = statement.on_conflict_do_nothing().returning(WebhookDeliveryRow.delivery_digest)
        return connection.execute(first).scalar_one_or_none() is not None


def forget_delivery(engine: Engine, delivery_id: str) -> None:
    """It came to nothing; the sender may try again."""
    with writing(engine) as connection:
        connection.execute(delete(WebhookDeliveryRow).where(WebhookDeliveryRow.delivery_digest == _digest(delivery_id)))


def _digest(delivery_id: str) -> str:
    return hashlib.sha256(delivery_id.encode()).hexdigest()
