"""Who may do what. Everything is closed but what is named here, so that no new page can be forgotten."""

import anyio
from fastapi import Request, Response
from starlette.responses import RedirectResponse

from case_monitor.dashboard.shell.plotly_script import PLOTLY_PATH
from case_monitor.dashboard.shell.rendering import address, root_of
from case_monitor.dashboard.shell.visitor import Visitor
from case_monitor.service.error_pages import error_answer, wants_html
from case_monitor.service.hosts import comes_from_elsewhere, is_known_host
from case_monitor.service.proxy_user import is_writer, proxy_user
from case_monitor.service.sessions import COOKIE, Sessions
from case_monitor.service.tokens import PERIOD_S, WRONG_TOKEN_DELAY_S, Right, WrongTokens, right_of
from case_monitor.settings import Settings

_OF_MACHINES = {"/healthz", "/readyz", "/metrics", "/webhooks/mlflow"}  # these have their own ways, or say little
_OF_LOGIN = {"/login", "/logout", "/session.json"}
_READS = {"GET", "HEAD", "OPTIONS"}


class WrongTokenError(Exception):
    """Somebody sends a token that is none of ours."""


class Access:
    """Finds out who sends a request, and refuses what they may not do."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.sessions = Sessions(settings)
        # Apart from each other: a program that goes on sending an old token keeps nobody from logging in.
        self.wrong_logins, self._wrong_bearers = WrongTokens(), WrongTokens()

    async def refusal(self, request: Request) -> Response | None:
        """The answer to what is not allowed; None: it is, and `request.state.visitor` is who sent it."""
        path = local_path(request)
        if path in _OF_MACHINES:
            return None
        if not is_known_host(request, self._settings):
            return error_answer(request, 421)
        if path.startswith("/static/") or path == PLOTLY_PATH:
            return None
        try:
            visitor = request.state.visitor = self._visitor(request)
        except WrongTokenError:
            return await self._wrong_bearer(request)
        writes = request.method not in _READS
        if writes and not visitor.by_token and comes_from_elsewhere(request, self._settings):
            return error_answer(request, 403, "Another site sent this.")
        if path in _OF_LOGIN or visitor.may_write or (visitor.may_read and not writes):
            return None
        return self._closed(request, visitor, writes=writes)

    def _visitor(self, request: Request) -> Visitor:
        user = proxy_user(request, self._settings)
        token = _bearer(request)
        right = None if token is None else right_of(self._settings, token)
        if right is not None:
            return Visitor(may_read=True, may_write=right is Right.WRITE, user=user, by_token=True)
        if token is not None and user is None:  # with a user it may be the proxy's own token
            raise WrongTokenError
        session = self.sessions.read(request.cookies.get(COOKIE, ""))
        subject = f"session {session.id}" if session else f"user {user}" if user else None
        return Visitor(
            may_read=reading_is_open(self._settings) or user is not None or session is not None,
            may_write=is_writer(user, self._settings) or (session is not None and session.right is Right.WRITE),
            user=user,
            logged_in=session is not None,
            form_key=subject and self.sessions.form_key(subject),
        )

    async def _wrong_bearer(self, request: Request) -> Response:
        await anyio.sleep(WRONG_TOKEN_DELAY_S)
        if self._wrong_bearers.too_many():
            return error_answer(request, 429, headers={"Retry-After": str(PERIOD_S)})
        self._wrong_bearers.note()
        return error_answer(request, 401, "This token is not known.", headers={"WWW-Authenticate": "Bearer"})

    def _closed(self, request: Request, visitor: Visitor, *, writes: bool) -> Response:
        if writes and visitor.known:
            return error_answer(request, 403, "You may read here, and not write.")
        if writes and not writing_is_possible(self._settings):
            return error_answer(request, 403, "Nobody may write here: neither write_token nor trusted_proxy is set.")
        if wants_html(request) and not writes:
            came = local_path(request) + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(root_of(request) + address("/login", next=came), 303)
        return error_answer(request, 401, headers={"WWW-Authenticate": "Bearer"})


def reading_is_open(settings: Settings) -> bool:
    """Whether everybody who reaches the service may read."""
    return settings.read_token is None and settings.trusted_proxy is None


def writing_is_possible(settings: Settings) -> bool:
    """Whether anybody may write."""
    return settings.write_token is not None or bool(settings.trusted_proxy and settings.trusted_proxy.writers)


def local_path(request: Request) -> str:
    """The path without what a proxy puts in front of it: what the routes are compared with."""
    path: str = request.scope["path"]
    return path.removeprefix(root_of(request))


def _bearer(request: Request) -> bytes | None:
    kind, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip().encode("latin-1") if kind.lower() == "bearer" else None
