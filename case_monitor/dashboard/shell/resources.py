"""What the service holds from its start to its end, and how an answer comes by it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from sqlalchemy import Engine

from case_monitor.dashboard.shell.page_cache import PageCache
from case_monitor.settings import Settings


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """Shared by all requests.

    Attributes:
        settings: the configuration, read once.
        engine: the results database.
        pages: answers that are kept.
        now: the time, in UTC.
    """

    settings: Settings
    engine: Engine
    pages: PageCache = field(default_factory=PageCache)
    now: Callable[[], datetime] = _now


def hold(app: FastAPI, resources: Resources) -> None:
    """Give the application what its answers are made from."""
    app.state.resources = resources


def resources_of(request: Request) -> Resources:
    """For what FastAPI calls without dependencies: errors, rendering."""
    held: Resources = request.app.state.resources
    return held


async def _held(request: Request) -> Resources:
    """Without a thread of its own, which a plain function would get."""
    return resources_of(request)


Held = Annotated[Resources, Depends(_held)]
