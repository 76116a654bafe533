"""What the measuring process answers comes back as it was, or not at all."""

import math
from typing import Any

import numpy as np
import pytest

from case_monitor.domain.gallery import Gallery
from case_monitor.domain.predictions import PredictedPart
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.split import Split
from case_monitor.isolation.frames import Frame, FrameError
from case_monitor.measuring_process.records import RECORDS, packed, unpacked


def there_and_back(value: Any) -> Any:
    head, arrays = packed(value, lambda thing: pytest.fail(f"{thing} was to be held"))
    return unpacked(Frame(head=head, arrays=arrays), lambda number: number)


def test_plain_values_come_back_as_they_were() -> None:
    value = (None, True, 3, 0.1 + 0.2, "ä\x1b", (), {("case", "agreement"): (1,), 2: "two"})
    assert there_and_back(value) == value
    assert math.isnan(there_and_back(math.nan))
    assert [type(part) for part in there_and_back((True, 1, 1.0))] == [bool, int, float]


def test_records_come_back_to_the_last_bit() -> None:
    values = {("case", "agreement"): np.array([0.1, np.nan, 1 / 3])}
    whole = np.arange(3)
    scores = SampleScores(sample_ids=("a", "b", "c"), target=whole, top2=whole, confidence=np.ones(3), values=values)
    part = PredictedPart(logits=np.float32([[np.inf, -0.0]]), active_channels=whole[:1])
    split = Split(name="val", digest="d", class_names=("cat", "dog"), size=3, notes=("one",))
    came = there_and_back((scores, part, split, Gallery.empty(("case",))))
    assert came[0].values["case", "agreement"].tobytes() == values["case", "agreement"].tobytes()
    assert came[0].broken_passes is None
    assert came[1].logits.tobytes() == part.logits.tobytes()
    assert came[2] == split
    assert came[3].maps["case"].shape == (0, 2, 1, 1)


def test_what_is_neither_plain_nor_a_record_stays_where_it_is() -> None:
    class Split:
        """Of another kind, for all its name."""

    kept: list[Any] = []
    things = Split(), iter([1])
    head, arrays = packed(things, lambda thing: kept.append(thing) or len(kept))
    assert (kept, arrays) == (list(things), {})
    assert unpacked(Frame(head=head, arrays=arrays), lambda number: f"number {number}") == ("number 1", "number 2")


@pytest.mark.parametrize(
    "value",
    [
        [1],
        {},
        {"tuple": 1},
        {"array": "0"},
        {"map": [[1]]},
        {"map": [[{"map": []}, 1]]},
        {"record": "Policy", "fields": {}},
        {"record": "Split", "fields": {"name": "val"}},
        {"record": "Split", "fields": {"name": "val", "digest": "", "class_names": {"tuple": []}, "size": 0, "x": 1}},
        {"record": "__import__", "fields": {"name": "os"}},
        {"held": "os"},
    ],
)
def test_anything_else_is_refused(value: Any) -> None:
    with pytest.raises(FrameError, match="plain values, records and arrays"):
        unpacked(Frame(head={"value": value}, arrays={}), lambda number: number)


def test_no_record_does_anything_when_it_is_made() -> None:
    """They are plain dataclasses: that is why they may be made of what comes."""
    assert {name for name, record in RECORDS.items() if hasattr(record, "__post_init__")} == set()
