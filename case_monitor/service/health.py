"""Is the process alive, and can it do its work?"""

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from case_monitor.core.errors import StoreError
from case_monitor.store.connection import require_schema

health = APIRouter()


@health.get("/healthz")
def healthz() -> dict[str, str]:
    """The process answers; restart it where this does not."""
    return {"status": "ok"}


@health.get("/readyz")
def readyz(request: Request) -> JSONResponse:
    """The database answers and has this code's schema; send no traffic where it does not."""
    try:
        require_schema(request.app.state.engine)
    except StoreError as error:
        return JSONResponse({"status": "not ready", "reason": str(error)}, status_code=503)
    return JSONResponse({"status": "ok"})
