"""Which images are drawn to be explained."""

from collections import Counter
from dataclasses import asdict
from importlib.metadata import version

import numpy as np
import pytest

from case_monitor.domain.digests import FIGURES, digest, protocol_digest
from case_monitor.domain.predictions import PredictedPart
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import drawn_by_class, drawn_indices
from case_monitor.judging.predicted_split import join_predicted

TARGET = np.repeat([0, 1, 2, 5], [1, 4, 20, 75])
"""A class of one image, two of few, and one of most; and two without any."""


def counted(indices: np.ndarray) -> list[int]:
    counts = Counter(TARGET[indices].tolist())
    return [counts[u] for u in (0, 1, 2, 5)]


@pytest.mark.parametrize(
    ("sample_size", "expected"),
    [
        (4, [1, 1, 1, 1]),
        (7, [1, 2, 2, 2]),
        (13, [1, 4, 4, 4]),
        (15, [1, 4, 5, 5]),
        (45, [1, 4, 20, 20]),
        (60, [1, 4, 20, 35]),
        (100, [1, 4, 20, 75]),
        (500, [1, 4, 20, 75]),
    ],
)
def test_as_equal_a_number_of_each_class_as_there_are_images(sample_size: int, expected: list[int]) -> None:
    drawn = drawn_by_class(TARGET, sample_size, seed=3)
    assert counted(drawn) == expected
    assert drawn.tolist() == sorted(set(drawn.tolist()))


def test_what_is_left_over_goes_to_classes_by_lot() -> None:
    """Six of four classes: two more of three that have more than one, and no class is always among them."""
    rests = {tuple(counted(drawn_by_class(TARGET, 6, seed))) for seed in range(60)}
    assert rests == {(1, 1, 2, 2), (1, 2, 1, 2), (1, 2, 2, 1)}


def test_the_seed_decides_and_nothing_else() -> None:
    again = [drawn_by_class(TARGET, 20, seed).tolist() for seed in (0, 0, 1)]
    assert again[0] == again[1] != again[2]


def test_numbers_of_classes_do_not_matter() -> None:
    """Two versions that order their classes otherwise are compared on the same images."""
    other = np.array([7, 3, 0, 9, 9, 1])[TARGET]
    for size in (6, 7, 20, 46):
        assert drawn_by_class(other, size, 0).tolist() == drawn_by_class(TARGET, size, 0).tolist()


def test_every_image_of_a_class_can_be_drawn() -> None:
    drawn = {i for seed in range(300) for i in drawn_by_class(TARGET, 8, seed).tolist()}
    assert drawn == set(range(100))


def test_nothing_is_drawn_of_nothing() -> None:
    assert drawn_by_class(np.array([], dtype=np.int64), 5, 0).tolist() == []


@pytest.mark.parametrize(("sampling", "draw"), [("random", None), ("stratified", drawn_by_class)])
def test_a_split_is_sampled_as_the_protocol_says(sampling: str, draw: object) -> None:
    protocol = Protocol(sample_size=20, sampling=sampling, seed=2)
    logits = np.random.default_rng(0).normal(size=(100, 6)).astype(np.float32)
    parts = [PredictedPart(logits=logits, active_channels=np.zeros(100, dtype=np.int64))]
    joined = join_predicted(parts, tuple(map(str, range(100))), TARGET, 6, protocol)
    expected = drawn_by_class(TARGET, 20, 2) if draw else drawn_indices(100, 20, 2)
    assert joined.drawn.tolist() == expected.tolist()


def test_protocols_that_do_not_say_are_what_they_were() -> None:
    """Evidence is stored under this digest."""
    fields = asdict(Protocol())
    for name in ("sampling", "label_threshold", "label_thresholds", "contrast", "contrast_threshold", "diagnostics"):
        del fields[name]
    assert protocol_digest(Protocol()) == digest([fields, FIGURES, version("torch").partition(".")[0]])
    assert protocol_digest(Protocol()) == protocol_digest(Protocol(sampling="random"))
    others = (
        {"sampling": "stratified"},
        {"label_threshold": 0.4},
        {"label_thresholds": {"a": 0.5}},
        {"contrast": "image"},
        {"contrast_threshold": 0.1},
    )
    assert len({protocol_digest(Protocol(**other)) for other in ({}, *others)}) == 6


def test_another_word_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"sampling: one of random, stratified was expected, 'equal' came"):
        Protocol(sampling="equal")
