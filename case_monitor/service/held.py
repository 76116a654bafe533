"""What the service holds beside what its pages need: who may do what."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from case_monitor.dashboard.shell.resources import Resources, resources_of
from case_monitor.service.access import Access


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceResources(Resources):
    """`access` has the sessions, and counts wrong tokens."""

    access: Access


async def _held(request: Request) -> ServiceResources:
    held = resources_of(request)
    assert isinstance(held, ServiceResources)  # noqa: S101 - what create_app() gives
    return held


HeldByService = Annotated[ServiceResources, Depends(_held)]
