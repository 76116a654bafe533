"""Is the process alive, and can it do its work?"""

import logging

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from case_monitor.dashboard.shell.resources import Held
from case_monitor.domain.errors import StoreError
from case_monitor.service.error_pages import what_to_do
from case_monitor.store.schema import require_schema

logger = logging.getLogger("case_monitor.service")
health = APIRouter()


@health.get("/healthz")
async def healthz() -> dict[str, str]:
    """The process answers; restart it where this does not. It waits for no thread, however busy they are."""
    return {"status": "ok"}


@health.get("/readyz")
def readyz(held: Held) -> JSONResponse:
    """The database answers and has this code's schema; send no traffic where it does not."""
    try:
        require_schema(held.engine)
    except StoreError as error:
        logger.error("%s", error)
        return JSONResponse({"status": "not ready", "reason": what_to_do(held.engine)}, status_code=503)
    return JSONResponse({"status": "ok"})
