"""Tell Prefect that a version was registered: an event, which the deployments' triggers turn into a run."""

import os
import uuid
from datetime import UTC, datetime

import httpx
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_URL

from case_monitor.domain.errors import ConfigError, OrchestrationError
from case_monitor.logs.foreign_errors import short_message

EVENT = "case-monitor.model-version.registered"


async def announce(name: str, version: int) -> None:
    """Send the event, and make sure that the server has taken it.

    Raises:
        ConfigError: there is no server to tell.
        OrchestrationError: it did not answer, or refused.
    """
    os.environ.setdefault("DO_NOT_TRACK", "true")
    if not PREFECT_API_URL.value():
        raise ConfigError("PREFECT_API_URL: the URL of a Prefect server was expected, nothing came")
    reference = f"{name}/{version}"
    event = {
        "id": str(uuid.uuid4()),
        "occurred": datetime.now(UTC).isoformat(),
        "event": EVENT,
        "resource": {"prefect.resource.id": f"case-monitor.model-version.{reference}", "model": name},
        "payload": {"model": reference},
    }
    try:
        async with get_client() as client:
            (await client.request("POST", "/events", json=[event])).raise_for_status()
    except (httpx.HTTPError, OSError, RuntimeError) as error:
        raise OrchestrationError(f"Prefect could not be told of {reference}: {short_message(error)}") from None
