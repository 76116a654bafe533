"""Versions as people write them: `1-5,8`."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_PART = re.compile(r"\s*(\d{1,9})\s*(?:-\s*(\d{1,9})\s*)?")
MAX_LENGTH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionRanges:
    """Ranges of versions, both ends included."""

    ranges: tuple[tuple[int, int], ...]

    @classmethod
    def read(cls, text: str) -> "VersionRanges":
        """From text.

        Raises:
            ValueError: says what was expected and what came.

        Example:
            >>> VersionRanges.read("1-5, 8").ranges
            ((1, 5), (8, 8))
        """
        if len(text) > MAX_LENGTH:
            raise ValueError(f"versions: at most {MAX_LENGTH} characters were expected, {len(text)} came")
        return cls(ranges=tuple(map(_range, text.split(","))))

    def __contains__(self, version: int) -> bool:
        return any(first <= version <= last for first, last in self.ranges)

    def unknown(self, known: Iterable[int]) -> tuple[int, ...]:
        """Versions named by themselves, or at an end of a range, that are not known."""
        ends = {version for ends in self.ranges for version in ends}
        return tuple(sorted(ends.difference(known)))


def _range(part: str) -> tuple[int, int]:
    found = _PART.fullmatch(part)
    if found is None:
        raise ValueError(f"versions: numbers and ranges like 1-5,8 were expected, {part[:40]!r} came")
    first = int(found[1])
    last = int(found[2] or first)
    if last < first:
        raise ValueError(f"versions: a range from low to high was expected, {part[:40]!r} came")
    return first, last
