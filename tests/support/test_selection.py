"""What is marked and shared out by its place stands there: what moved would be marked no more, without a word."""

from pathlib import Path

import pytest

from tests.support.selection import _OF_PLACES
from tests.support.sharing import _LONG, _TOGETHER

ROOT = Path(__file__).parents[2]
FILES = [*_OF_PLACES, *_TOGETHER, *(place for place in _LONG if "/" in place)]


@pytest.mark.parametrize("place", FILES)
def test_it_stands_there(place: str) -> None:
    file, _, test = place.partition("::")
    found = [ROOT / file] if (ROOT / file).exists() else list((ROOT / file).parent.glob(f"{Path(file).name}*"))
    assert found
    if test:
        name = test.partition("::")[2] or test
        assert any(f"def {name.partition('[')[0]}" in path.read_text() for path in found)
