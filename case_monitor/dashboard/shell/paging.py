"""Long lists a page at a time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

PAGE_SIZE = 25
_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pages:
    """Where in a list one is. `previous` and `next` are addresses, None at the ends."""

    number: int
    total: int
    previous: str | None
    next: str | None


def turn(
    items: Sequence[_Item], number: int, address_of: Callable[[int], str], size: int = PAGE_SIZE
) -> tuple[Sequence[_Item], Pages]:
    """One page of the items; beyond the last page the last.

    >>> turn("abcde", 9, "?page={}".format, 2)
    ('e', Pages(number=3, total=3, previous='?page=2', next=None))
    """
    total = max(-(-len(items) // size), 1)
    number = min(max(number, 1), total)
    pages = Pages(
        number=number,
        total=total,
        previous=address_of(number - 1) if number > 1 else None,
        next=address_of(number + 1) if number < total else None,
    )
    return items[(number - 1) * size : number * size], pages
