"""Answers to what went wrong: a page for browsers, {"detail": ...} for programs, and no secret in either."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse
from sqlalchemy import Engine
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from case_monitor.dashboard.shell.rendering import render
from case_monitor.dashboard.shell.resources import resources_of
from case_monitor.domain.errors import StoreError
from case_monitor.service.security_headers import with_security_headers
from case_monitor.store.schema import SchemaState, current_revision, schema_state

logger = logging.getLogger("case_monitor.service")

_TITLES = {
    401: "Log in first",
    403: "Not allowed",
    404: "Not found",
    405: "Not possible here",
    409: "Changed meanwhile",
    413: "Too long",
    415: "Not a form",
    421: "Not a name of this service",
    422: "Not understood",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "No results at the moment",
}
_DETAILS = {
    401: "You are not logged in, or your session has ended.",
    403: "You may not do this.",
    404: "There is no such page.",
    405: "This address is not for this kind of request.",
    421: "The pages answer to names that they know only. Whoever runs the service can add this one to allowed_hosts.",
    429: "Too many wrong tokens came. Wait a minute, then try again.",
    500: "The service met an error that it does not know. Whoever runs it finds the details in its log.",
}
_SCHEMAS = {
    SchemaState.MISSING: "The results database has no case_monitor tables yet; run: case-monitor db upgrade",
    SchemaState.OLDER: "The results database has an older schema; run: case-monitor db upgrade",
    SchemaState.NEWER: "The results database has a newer schema; install the case-monitor that upgraded it",
}
_NO_DATABASE = (
    "The results database does not answer. Try again; if it stays so, whoever runs the service finds the reason in its "
    "log, and with: case-monitor doctor"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorPage:
    """What went wrong, and `detail` on what to do."""

    status: int
    title: str
    detail: str


def wants_html(request: Request) -> bool:
    """Whether a browser asks."""
    return "text/html" in request.headers.get("accept", "")


def error_answer(
    request: Request, status: int, detail: str | None = None, headers: Mapping[str, str] | None = None
) -> Response:
    """A page or JSON that says what is wrong.

    Args:
        request: what cannot be answered.
        status: of HTTP.
        detail: in words; None takes those of the status.
        headers: of the answer.
    """
    phrase = HTTPStatus(status).phrase
    if detail in (None, phrase):
        detail = _DETAILS.get(status, phrase)
    if not wants_html(request):
        return JSONResponse({"detail": detail}, status, headers)
    context = ErrorPage(status=status, title=_TITLES.get(status, phrase), detail=str(detail))
    return HTMLResponse(render(request, "error.html", context, counting=False), status, headers)


def add_error_pages(app: FastAPI) -> None:
    """Answer every error of this application."""
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(StoreError, _no_results)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unexpected)


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - what this is registered for
    return error_answer(request, error.status_code, error.detail, error.headers)


def _not_understood(request: Request, error: Exception) -> Response:
    """Names each wrong field, without repeating its value."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - what this is registered for
    # A field is at most one below the query or the body; what follows are pydantic's names of alternatives.
    problems = {".".join(map(str, item["loc"][1:2])) or "body": item["msg"] for item in reversed(error.errors())}
    detail = "; ".join(f"{name}: {problem}" for name, problem in reversed(problems.items()))
    return error_answer(request, 422, detail)


def _gone(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette passes both
    """Nobody reads this answer; but without it anybody could fill the log with tracebacks."""
    return error_answer(request, 400)


def _no_results(request: Request, error: Exception) -> Response:
    logger.error("%s", error)
    return error_answer(request, 503, what_to_do(resources_of(request).engine), {"Retry-After": "10"})


def what_to_do(engine: Engine) -> str:
    """About a database that gives no results; where it is, is nobody's business."""
    try:
        return _SCHEMAS.get(schema_state(current_revision(engine)), _NO_DATABASE)
    except StoreError:
        return _NO_DATABASE


def _unexpected(request: Request, error: Exception) -> Response:  # noqa: ARG001 - uvicorn logs it
    """Comes after all middleware, so that it sets the headers itself."""
    return with_security_headers(error_answer(request, 500))
