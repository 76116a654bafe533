"""Answers: each array is what was asked for, or the model is refused in words that say what it should have been."""

from typing import Any

import numpy as np
import pytest

from case_monitor.domain.errors import ModelError
from case_monitor.isolation.answer import Answer
from case_monitor.isolation.frames import Frame

SIZE = 3
MAPS = np.zeros((SIZE, 2, 4, 5), np.float32)


def answer(head: dict[str, Any] | None = None, **arrays: Any) -> Answer:
    named = {name.replace("_of_", " "): array for name, array in arrays.items()}
    return Answer(Frame(head=head or {}, arrays=named), ModelError, SIZE)


def test_what_is_well_is_taken_as_it_is() -> None:
    nothing = np.full((SIZE, 2), np.nan, np.float32)
    assert answer(logits=nothing).logits() is nothing
    assert answer(n=np.arange(SIZE)).counts("n").tolist() == [0, 1, 2]
    drops = np.array([-1.0, 1.0, np.nan])
    assert answer(drop_of_a_of_d=drops).drop("a", "d") is drops
    assert tuple(answer(map_of_a=MAPS).map("a", 2, (4, 5)).shape) == MAPS.shape
    assert answer({"layer": "features.3"}).text("layer", 20) == "features.3"
    assert answer({"size": 7}).count("size", 1, 7) == 7


@pytest.mark.parametrize(
    "array",
    [
        None,
        np.zeros((SIZE, 2), np.float64),
        np.zeros((SIZE, 2), np.int64),
        np.zeros((SIZE + 1, 2), np.float32),
        np.zeros((SIZE - 1, 2), np.float32),
        np.zeros((), np.float32),
        np.zeros((0, 2), np.float32),
    ],
)
def test_logits_that_are_none(array: Any) -> None:
    with pytest.raises(ModelError, match=r"^logits of 3 images as float32$"):
        answer(**({} if array is None else {"logits": array})).logits()


@pytest.mark.parametrize(
    "array", [np.array([0, 0, -1]), np.array([0, 0, 2**40 + 1]), np.zeros((SIZE, 1), np.int64), np.zeros(SIZE)]
)
def test_counts_that_are_none(array: Any) -> None:
    with pytest.raises(ModelError, match=r"^n "):
        answer(n=array).counts("n")


@pytest.mark.parametrize("drop", [1.5, -1.5, np.inf, -np.inf, np.nextafter(1, 2)])
def test_drops_of_more_than_all(drop: float) -> None:
    with pytest.raises(ModelError, match=r"^confidence_drop_5 in \[-1, 1\]$"):
        answer(drop_of_a_of_confidence_drop_5=np.array([0, 0, drop])).drop("a", "confidence_drop_5")


def test_margins_of_any_size() -> None:
    margins = np.array([-1e300, 7.5, np.nan])
    assert answer(margin_of__of_pair_margin=margins).margin("", "pair_margin") is margins


@pytest.mark.parametrize(
    "array",
    [
        None,
        np.array([0, 0, np.inf]),
        np.array([0, 0, -np.inf]),
        np.zeros(SIZE, np.float32),
        np.zeros(SIZE + 1),
        np.zeros((SIZE, 1)),
    ],
)
def test_margins_that_are_none(array: Any) -> None:
    with pytest.raises(ModelError, match=r"^(pair_margin as finite numbers|margin  pair_margin )"):
        answer(**({} if array is None else {"margin_of__of_pair_margin": array})).margin("", "pair_margin")


@pytest.mark.parametrize(
    "shape", [(SIZE, 2, 4), (SIZE, 1, 4, 5), (SIZE, 2, 0, 5), (SIZE, 2, 4097, 1), (SIZE, 2, 4, 5, 1)]
)
def test_maps_that_are_none(shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelError, match=r"^maps of 2 classes, of sides up to 4096"):
        answer(map_of_a=np.zeros(shape, np.float32)).map("a", 2)


def test_maps_of_another_size_than_before() -> None:
    with pytest.raises(ModelError, match=r"^maps of \(5, 4\), as before"):
        answer(map_of_a=MAPS).map("a", 2, (5, 4))


@pytest.mark.parametrize("layer", [None, 3, ["a"], "a" * 21, "a\nb", "a\x1b[2J", "a\u202eb"])
def test_a_name_that_is_none(layer: object) -> None:
    with pytest.raises(ModelError, match=r"^layer as a text of up to 20 characters$"):
        answer({"layer": layer}).text("layer", 20)


def test_another_name_than_the_one_that_was_given() -> None:
    with pytest.raises(ModelError, match=r"^layer stem$"):
        answer({"layer": "head"}).text("layer", 20, "stem")


@pytest.mark.parametrize("size", [None, 0, 1, 8, 2.0, True, "2", 10**400])
def test_a_count_out_of_range(size: object) -> None:
    with pytest.raises(ModelError, match=r"^size from 2 to 7$"):
        answer({"size": size}).count("size", 2, 7)
