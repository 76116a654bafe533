"""`watch-registry`: versions that no webhook announced, or whose run came to nothing, and evidence that waits."""

import asyncio
import logging
from datetime import UTC, datetime, timedelta

from prefect import flow
from sqlalchemy import Engine

from case_monitor.domain.errors import CaseMonitorError, IncompleteError
from case_monitor.registry.announce import announce
from case_monitor.steps.begin import begin
from case_monitor.steps.edges.registry import registered_since
from case_monitor.steps.outbox import send_waiting
from case_monitor.steps.requests import WatchRequest
from case_monitor.steps.running import step
from case_monitor.store.open import open_store
from case_monitor.store.work.announcements import due, note_announcement

logger = logging.getLogger("case_monitor.watch")


@flow(name="watch-registry", persist_result=False)
def watch_registry(request: WatchRequest) -> list[str]:
    """Announce every version of the last days that has no published evaluation, as the webhook would have.

    Raises:
        IncompleteError: something could not be sent, or some models not looked at; the others were.
    """
    settings = begin(request.config)
    since = datetime.now(UTC) - timedelta(days=settings.watch_days)
    engine = open_store(settings.database_url.get_secret_value())
    found, failures = [], []
    try:
        try:
            send_waiting(settings, engine)
        except CaseMonitorError as error:
            failures.append(str(error))
        for name in settings.models:
            try:
                versions = registered_since(settings, name, since)
                for version in due(engine, name, versions):
                    tell(engine, name, version)
                    found.append(f"{name}/{version}")
            except CaseMonitorError as error:
                logger.error("%s could not be looked at: %s", name, error)
                failures.append(f"{name} ({error})")
    finally:
        engine.dispose()
    if failures:
        msg = f"the sweep could not do all that it should: {'; '.join(failures)}"
        raise IncompleteError(msg)
    return found


@step("announce")
def tell(engine: Engine, name: str, version: int) -> None:
    """Announce one version. Not retried: the next sweep does."""
    asyncio.run(announce(name, version))
    note_announcement(engine, name, version)
    logger.info("%s/%d has no evaluation: announced", name, version)
