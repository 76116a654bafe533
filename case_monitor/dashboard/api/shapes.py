"""What answers of the API have in common: a list in pages, a refusal, and what can be asked."""

from typing import Annotated, Generic, TypeVar

from fastapi import Path, Query
from pydantic import BaseModel

Content = TypeVar("Content")

MAX_PER_PAGE = 1000
# What PostgreSQL takes as text has no NUL.
Text = Annotated[str | None, Query(max_length=10_000, pattern=r"^[^\x00]*$")]
Name = Annotated[str, Query(min_length=1, max_length=10_000, pattern=r"^[^\x00]*$")]
Versions = Annotated[str | None, Query(max_length=1000, pattern=r"^[^\x00]*$")]
Short = Annotated[str | None, Query(max_length=100, pattern=r"^[^\x00]*$")]
EvaluationId = Annotated[int, Path(ge=1, le=2**31 - 1)]
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
PerPage = Annotated[int, Query(ge=1, le=MAX_PER_PAGE)]
Version = Annotated[int | None, Query(ge=1, le=2**31 - 1)]


class Listed(BaseModel, Generic[Content]):
    """Part of a list: `total` items in all, of which this is page number `page`."""

    items: tuple[Content, ...]
    total: int
    page: int
    per_page: int


class Refusal(BaseModel):
    """Why there is no answer."""

    detail: str


NOT_STORED: dict[int | str, dict[str, object]] = {
    404: {"model": Refusal, "description": "The evaluation is not stored."}
}
NOT_EVALUATED: dict[int | str, dict[str, object]] = {
    400: {"model": Refusal, "description": "What was asked for was not measured."},
    404: {"model": Refusal, "description": "The model or the version was not evaluated."},
    422: {"model": Refusal, "description": "The address is wrong."},
}
