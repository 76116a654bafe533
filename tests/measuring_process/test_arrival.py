"""What the measuring process answers is seen to be what was asked for, before it reaches a figure."""

from dataclasses import replace

import numpy as np
import pytest

from case_monitor.domain.errors import EngineError
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.sample import Sample
from case_monitor.domain.scores import PAIR_MARGIN, SHOWN_MARGIN, SampleScores
from case_monitor.measuring_process.arrival import excluded_classes, explained
from tests.support.sources import a_split

LOGITS = np.array([[2, 1, 0], [0, 2, 1], [1, 0, 2]], dtype=np.float32)
PREDS = Predictions(sample_ids=("a", "b", "c"), logits=LOGITS, target=LOGITS.argmax(1))
SAMPLE = Sample.of(np.arange(3), PREDS)
GALLERY = Gallery.empty(("case",))


def scores(**values: np.ndarray) -> SampleScores:
    metrics = {"sensitivity": ("case", "max_sensitivity"), "road": ("random", "road")}
    metrics |= {"agreement": ("case", "agreement"), "pair": ("", PAIR_MARGIN), "shown": ("case", SHOWN_MARGIN)}
    return SampleScores(
        sample_ids=PREDS.sample_ids,
        target=SAMPLE.preds.target,
        top2=SAMPLE.top2,
        confidence=np.ones(3),
        broken_passes=np.zeros(3, dtype=np.int64),
        values={metrics[name]: array for name, array in values.items()},
    )


def test_differences_of_logits_have_no_range_and_other_scores_have() -> None:
    fine = scores(agreement=np.array([0.5, 1, np.nan]), pair=np.array([120.0, -3, np.nan]), shown=np.full(3, -80.0))
    assert explained((fine, GALLERY), SAMPLE) == (fine, GALLERY)
    with pytest.raises(EngineError, match=r"case agreement in \[-1, 1\] was expected"):
        explained((scores(agreement=np.array([0.5, 1.5, 0])), GALLERY), SAMPLE)


def test_diagnostics_have_the_range_of_their_row() -> None:
    fine = scores(sensitivity=np.array([0, 7.5, np.nan]), road=np.array([-1, 1, np.nan]))
    assert explained((fine, GALLERY), SAMPLE) == (fine, GALLERY)
    with pytest.raises(EngineError, match="max_sensitivity as finite numbers from 0 to any was expected"):
        explained((scores(sensitivity=np.array([1, -0.5, 0])), GALLERY), SAMPLE)
    with pytest.raises(EngineError, match="road as finite numbers from -1 to 1 was expected"):
        explained((scores(road=np.array([1, 1.5, 0])), GALLERY), SAMPLE)
    with pytest.raises(EngineError, match=r"random road of \(3,\) as float64"):
        explained((scores(road=np.zeros(2)), GALLERY), SAMPLE)


@pytest.mark.parametrize("infinite", [np.inf, -np.inf])
def test_an_infinite_difference_of_logits_is_no_answer(infinite: float) -> None:
    with pytest.raises(EngineError, match="pair_margin as a finite number or NaN was expected"):
        explained((scores(pair=np.array([1, infinite, 2])), GALLERY), SAMPLE)


@pytest.mark.parametrize("change", [{"sample_ids": ("a", "c", "b")}, {"top2": np.zeros(3, dtype=np.int64)}])
def test_scores_of_another_sample_are_no_answer(change: dict[str, object]) -> None:
    with pytest.raises(EngineError, match="of the sample"):
        explained((replace(scores(), **change), GALLERY), SAMPLE)  # type: ignore[arg-type] # any field


def test_that_no_pass_was_broken_must_be_said() -> None:
    with pytest.raises(EngineError, match="broken passes of"):
        explained((replace(scores(), broken_passes=None), GALLERY), SAMPLE)


def test_too_few_scores_are_no_answer() -> None:
    with pytest.raises(EngineError, match="shown_margin"):
        explained((scores(shown=np.zeros(2)), GALLERY), SAMPLE)


def test_what_images_are_of_too_is_never_what_they_are_asked() -> None:
    target, split = np.array([0, 1]), a_split(3, 2)
    fine = np.array([[0, 1, 0], [0, 0, 0]], dtype=np.uint8)
    found = excluded_classes(fine, target, split)
    assert found is not None
    assert found.dtype == bool
    np.testing.assert_array_equal(found, fine == 1)
    assert excluded_classes(None, target, split) is None
    for wrong, problem in (
        (fine.astype(np.int64), "as uint8 was expected"),
        (fine[:1], r"\(2, 3\) as uint8"),
        (fine[:, :2], r"\(2, 3\) as uint8"),
        (np.array([[1, 0, 0], [0, 0, 0]], dtype=np.uint8), "beside an image's own"),
        (np.array([[0, 1, 1], [0, 0, 0]], dtype=np.uint8), "a class that an image is not of"),
    ):
        with pytest.raises(EngineError, match=problem):
            excluded_classes(wrong, target, split)
