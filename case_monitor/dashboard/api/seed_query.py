"""Which study of seeds is asked for, as JSON and as a file."""

from typing import Annotated

from fastapi import Depends, Query

from case_monitor.dashboard.api.shapes import Name, Short, Versions
from case_monitor.dashboard.pages.seeds.taking_part import DEFAULT_METRIC, SeedQuery


# A coroutine because FastAPI gives each plain function a thread.
async def _seed_query(
    model: Name,
    versions: Versions = None,
    group: Short = None,
    metric: Annotated[str, Query(max_length=100)] = DEFAULT_METRIC,
) -> SeedQuery:
    return SeedQuery(model=model, versions=versions or "", group=group or "", metric=metric)


Seeds = Annotated[SeedQuery, Depends(_seed_query)]
