"""Telling people about alerts: what waits in the outbox is sent to every channel of the configuration."""

import logging
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter

from pydantic import SecretStr
from sqlalchemy import Engine

from case_monitor.alerts.life import NoticeKind
from case_monitor.alerts.notice import Notice, combined
from case_monitor.alerts.send import Urgency, channel_id, send
from case_monitor.domain.policy import Severity
from case_monitor.settings import Settings
from case_monitor.steps.running import step
from case_monitor.store import write

logger = logging.getLogger("case_monitor.notices")


@step("send-notices")
def send_notices(settings: Settings, engine: Engine) -> None:
    """Send what is in the outbox. What fails is logged and sent by the next run: a notifier never fails a check."""
    try:
        empty_outbox(engine, settings.notify)
    except Exception as error:
        logger.warning("alerts could not be told (%s); the next check tries again", type(error).__name__)


def empty_outbox(engine: Engine, urls: Sequence[SecretStr]) -> None:
    """Send each notice to each channel that has not taken it yet, one message per model."""
    notices = sorted(write.claim_notices(engine), key=attrgetter("model_name", "id"))
    if not notices:
        return
    delivered = {notice.id: notice.delivered_to for notice in notices}
    try:
        for i, url in enumerate(urls):
            channel = channel_id(url)
            waiting = [notice for notice in notices if channel not in notice.delivered_to]
            for _, of_model in groupby(waiting, attrgetter("model_name")):
                group = list(of_model)
                if send(url, *combined(group), _urgency(group)):
                    delivered |= {notice.id: (*delivered[notice.id], channel) for notice in group}
                else:
                    logger.warning("notify.%d did not take %d notices; the next check tries again", i, len(group))
    finally:
        write.settle_notices(engine, delivered, set(map(channel_id, urls)))


def _urgency(notices: Sequence[Notice]) -> Urgency:
    bad = [notice.severity for notice in notices if notice.kind is not NoticeKind.RESOLVED]
    return "failure" if Severity.BLOCK in bad else "warning" if bad else "success"
