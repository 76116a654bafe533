"""A class as pages name it, and as an address asks for it."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Query

ClassIndex = Annotated[int, Query(ge=0, le=2**31 - 1)] | Literal[""] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassRef:
    """A class of the split."""

    idx: int
    name: str
