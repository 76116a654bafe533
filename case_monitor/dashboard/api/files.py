"""The parts of an evaluation as files."""

from collections.abc import Callable
from enum import StrEnum

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Response
from sqlalchemy import Engine

from case_monitor.dashboard.api.items import Selection, read_items
from case_monitor.dashboard.api.parts import PARTS, Part, require_evaluation
from case_monitor.dashboard.api.shapes import NOT_STORED, EvaluationId
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


def _file(engine: Engine, evaluation_id: int, part: Part, file_format: Format) -> Response:
    require_evaluation(engine, evaluation_id)
    kind = PARTS[part].kind
    items, _ = read_items(engine, kind, Selection(evaluation_id=evaluation_id))
    name = f"evaluation-{evaluation_id}-{part}.{file_format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(_writers()[file_format](kind, items), media_type=_MEDIA_TYPES[file_format], headers=headers)


# Files are made in memory: a few at a time, so that pages have threads and memory left.
_FILES = CapacityLimiter(2)


def _writers() -> dict[Format, Callable[[type[object], tuple[object, ...]], bytes]]:
    from case_monitor.dashboard.api.item_files import csv_of, parquet_of  # pandas takes its time

    return {Format.CSV: csv_of, Format.PARQUET: parquet_of}
