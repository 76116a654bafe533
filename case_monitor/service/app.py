"""The web application. It listens on loopback unless told otherwise, and keeps no state but the database's."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response
from sqlalchemy import Engine

import case_monitor
from case_monitor.dashboard import add_dashboard
from case_monitor.dashboard.shell.resources import hold
from case_monitor.service.access import Access
from case_monitor.service.error_pages import add_error_pages
from case_monitor.service.health import health
from case_monitor.service.held import ServiceResources
from case_monitor.service.login import login
from case_monitor.service.metrics import metrics
from case_monitor.service.security_headers import with_security_headers
from case_monitor.service.sub_path import SubPath
from case_monitor.service.webhook import webhook
from case_monitor.settings import Settings
from case_monitor.store.open import open_store


def create_app(settings: Settings, engine: Engine | None = None) -> FastAPI:
    """The application over the results database of these settings.

    Args:
        settings: the configuration, read once.
        engine: an open database; without one it is opened here, and closed at the end.

    Raises:
        StoreError: the database does not answer, or its schema is not this code's.
    """
    opened = engine or open_store(settings.database_url.get_secret_value())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if engine is None:
            opened.dispose()

    app = FastAPI(
        title="case_monitor",
        version=case_monitor.__version__,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        lifespan=lifespan,
    )
    held = ServiceResources(settings=settings, engine=opened, access=Access(settings))
    hold(app, held)
    for router in (health, metrics, webhook, login):
        app.include_router(router, include_in_schema=False)
    add_dashboard(app)
    add_error_pages(app)

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        refused = await held.access.refusal(request)
        response = refused or await call_next(request)
        if response.status_code == 307:  # a slash too many or too few; the proxy's scheme and name are not ours to say
            response.headers["location"] = (
                urlsplit(response.headers["location"])._replace(scheme="", netloc="").geturl()
            )
        return with_security_headers(response)

    app.add_middleware(SubPath, service_url=settings.service_url)  # the last one added sees a request first
    return app
