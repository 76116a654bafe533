"""Log in with a token, log out, and what the page's header says of it."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import anyio
from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from case_monitor.dashboard.shell.forms import OwnForm, form_fields
from case_monitor.dashboard.shell.rendering import render, root_of
from case_monitor.dashboard.shell.visitor import Visitor, visitor_of
from case_monitor.service.held import HeldByService, ServiceResources
from case_monitor.service.sessions import COOKIE, MAX_AGE_S
from case_monitor.service.tokens import PERIOD_S, WRONG_TOKEN_DELAY_S, Right, right_of

login = APIRouter()


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """`next` is where to go afterwards; `problem` is what was wrong with the token that came."""

    visitor: Visitor
    next: str
    problem: str | None = None


@login.get("/login")
def show_login(request: Request, next: str = "/") -> Response:  # noqa: A002 - its name in the address
    """The form."""
    return _page(request, next)


@login.post("/login")
async def log_in(request: Request, held: HeldByService) -> Response:
    """Take a token, give a session."""
    fields = await form_fields(request)
    wrong, came = held.access.wrong_logins, fields.get("next", "/")
    if wrong.too_many():
        problem = "Too many wrong tokens came. Wait a minute, then try again."
        return _page(request, came, problem, 429, {"Retry-After": str(PERIOD_S)})
    right = right_of(held.settings, fields.get("token", "").strip().encode())
    if right is None:
        wrong.note()
        await anyio.sleep(WRONG_TOKEN_DELAY_S)
        return _page(request, came, "This token is not known.", 403)
    return _with_session(request, held, right, RedirectResponse(root_of(request) + safe_next(came), 303))


@login.post("/logout")
def log_out(request: Request, fields: OwnForm) -> Response:  # noqa: ARG001 - makes sure that it is our form
    """End the session in this browser, and forget the pages that it has kept."""
    response = RedirectResponse(root_of(request) + "/", 303, {"Clear-Site-Data": '"cache"'})
    response.delete_cookie(COOKIE, path=root_of(request) or "/")
    return response


@login.get("/session.json")
def show_session(request: Request) -> dict[str, str | bool | None]:
    """What the header of a page shows, apart from the page: pages are kept for everybody alike."""
    visitor = visitor_of(request)
    return {
        "user": visitor.user,
        "logged_in": visitor.logged_in,
        "may_read": visitor.may_read,
        "may_write": visitor.may_write,
        "form_key": visitor.form_key,
    }


def safe_next(came: str) -> str:
    r"""A path of ours, or else the first page: never another site.

    >>> safe_next("/alerts?state=open"), safe_next("//elsewhere.example"), safe_next("/\\elsewhere.example")
    ('/alerts?state=open', '/', '/')
    """
    if not came.startswith("/") or came.startswith("//") or "\\" in came or not came.isprintable():
        return "/"
    try:
        split = urlsplit(came)
    except ValueError:
        return "/"
    return "/" if split.scheme or split.netloc or split.path in {"/login", "/logout"} else came


def _page(
    request: Request, came: str, problem: str | None = None, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    context = Login(visitor=visitor_of(request), next=safe_next(came), problem=problem)
    return HTMLResponse(render(request, "login.html", context, counting=False), status, headers)


def _with_session(request: Request, held: ServiceResources, right: Right, response: Response) -> Response:
    response.set_cookie(
        COOKIE,
        held.access.sessions.start(right),
        max_age=MAX_AGE_S,
        path=root_of(request) or "/",
        secure=held.settings.service_url.lower().startswith("https://"),
        httponly=True,
        samesite="strict",
    )
    return response
