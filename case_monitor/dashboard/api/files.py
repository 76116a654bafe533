"""The parts of an evaluation as files."""

from collections.abc import Callable
from enum import StrEnum

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Response
from sqlalchemy import Engine

from case_monitor.dashboard.api.items import Selection, read_items
from case_monitor.dashboard.api.parts import PARTS, Part, require_evaluation
from case_monitor.dashboard.api.seed_query import Seeds
from case_monitor.dashboard.api.shapes import NOT_EVALUATED, NOT_STORED, EvaluationId
from case_monitor.dashboard.pages.seeds.study import SeedItem, seed_items, seed_study
from case_monitor.dashboard.pages.seeds.taking_part import SeedQuery
from case_monitor.dashboard.shell.resources import Held

files = APIRouter(prefix="/api/v1")


class Format(StrEnum):
    """Of a file."""

    CSV = "csv"
    PARQUET = "parquet"


_MEDIA_TYPES = {Format.CSV: "text/csv", Format.PARQUET: "application/vnd.apache.parquet"}
_FILE: dict[int | str, dict[str, object]] = {
    **NOT_STORED,
    200: {
        "description": "The whole part as a file.",
        "content": {media: {"schema": {"type": "string", "format": "binary"}} for media in _MEDIA_TYPES.values()},
    },
}


@files.get("/evaluations/{evaluation_id}/{part}.{file_format}", responses=_FILE, response_class=Response)
async def download(held: Held, evaluation_id: EvaluationId, part: Part, file_format: Format) -> Response:
    """A part of an evaluation as CSV or Parquet, with the columns of its JSON."""
    return await to_thread.run_sync(_file, held.engine, evaluation_id, part, file_format, limiter=_FILES)


@files.get("/seeds.{file_format}", responses=NOT_EVALUATED | {200: _FILE[200]}, response_class=Response)
async def download_seeds(held: Held, file_format: Format, chosen: Seeds) -> Response:
    """A study of seeds as CSV or Parquet: a row for each version and method."""
    return await to_thread.run_sync(_seeds_file, held.engine, chosen, file_format, limiter=_FILES)


def _seeds_file(engine: Engine, chosen: SeedQuery, file_format: Format) -> Response:
    return _attached(SeedItem, seed_items(seed_study(engine, chosen)), "seeds", file_format)


def _file(engine: Engine, evaluation_id: int, part: Part, file_format: Format) -> Response:
    require_evaluation(engine, evaluation_id)
    kind = PARTS[part].kind
    items, _ = read_items(engine, kind, Selection(evaluation_id=evaluation_id))
    return _attached(kind, items, f"evaluation-{evaluation_id}-{part}", file_format)


def _attached(kind: type[object], items: tuple[object, ...], name: str, file_format: Format) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}.{file_format}"'}
    return Response(_writers()[file_format](kind, items), media_type=_MEDIA_TYPES[file_format], headers=headers)


# Files are made in memory: a few at a time, so that pages have threads and memory left.
_FILES = CapacityLimiter(2)


def _writers() -> dict[Format, Callable[[type[object], tuple[object, ...]], bytes]]:
    from case_monitor.dashboard.api.item_files import csv_of, parquet_of  # pandas takes its time

    return {Format.CSV: csv_of, Format.PARQUET: parquet_of}
