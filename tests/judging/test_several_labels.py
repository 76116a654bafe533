"""Images of several classes: what is asked of the model, and what of it is right."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import precision_recall_fscore_support

from case_monitor.domain.errors import ConfigError
from case_monitor.domain.predictions import PredictedPart, Predictions
from case_monitor.domain.protocol import LOGITS, SOFTMAX, Protocol
from case_monitor.judging.constant_answer import right_without_looking
from case_monitor.judging.label_counts import LabelCounter, label_counter, thresholds_of
from case_monitor.judging.predicted_split import join_predicted
from tests.support.profiles import examples
from tests.support.sources import a_split

LOGITS_BY_HAND = np.float32([[3, 2, 1, 0], [0, 5, 4, 1], [9, 1, 2, 8], [1, 2, 3, np.nan]])
TARGET = np.array([1, 0, 2, 2])
EXCLUDED = np.array([[1, 0, 0, 0], [0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1]], dtype=bool)


def parts(logits: np.ndarray, size: int) -> list[PredictedPart]:
    rows = [logits[i : i + size] for i in range(0, len(logits), size)]
    return [PredictedPart(logits=row, active_channels=np.zeros(len(row), dtype=np.int64)) for row in rows]


@pytest.mark.parametrize("size", [1, 3, 4])
def test_the_likeliest_of_the_classes_that_are_asked_is_the_answer(size: int) -> None:
    """By hand: 1 of {1, 2, 3}; 3 of {0, 3}; 2 of {1, 2}; and NaN stays NaN, though nobody asks about it."""
    joined = join_predicted(parts(LOGITS_BY_HAND, size), tuple("abcd"), TARGET, 4, Protocol(), EXCLUDED)
    assert_array_equal(joined.classes.preds, [1, 3, 2, -1])
    assert_array_equal(joined.confmat.counts, [[0, 0, 0, 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]])
    assert_allclose(joined.confmat.soft[0], [1 / (1 + np.e), 0, 0, np.e / (1 + np.e)], rtol=1e-6)
    assert_array_equal(np.isnan(joined.confmat.soft[3]), True)
    assert_allclose(joined.classes.confidence[2], np.e / (1 + np.e), rtol=1e-6)
    assert joined.sample.preds.sample_ids == ("a", "c")
    assert_array_equal(joined.sample.top2, [2, 1])
    assert_array_equal(joined.sample.preds.logits, LOGITS_BY_HAND[[0, 2]])  # as the model gave them
    few = joined.sample.spread(1)
    assert few.preds.excluded is not None
    assert_array_equal(few.preds.excluded, EXCLUDED[[0]])
    assert joined.constant == pytest.approx(2 / 3)  # a wants 1 before 2, and c 2 before 1


def test_images_of_one_class_each_are_as_if_nobody_had_said_so() -> None:
    rng = np.random.default_rng(0)
    logits, target = rng.normal(size=(50, 5)).astype(np.float32), rng.integers(0, 5, 50)
    names = tuple(map(str, range(50)))
    one, same = (
        join_predicted(parts(logits, 7), names, target, 5, Protocol(sample_size=20), excluded)
        for excluded in (None, np.zeros((50, 5), dtype=bool))
    )
    assert_array_equal(one.classes.preds, same.classes.preds)
    assert_array_equal(one.classes.confidence, same.classes.confidence)
    assert_array_equal(one.confmat.soft, same.confmat.soft)
    assert_array_equal(one.sample.top2, same.sample.top2)
    assert same.constant == np.bincount(target).max() / 50


def questions(seed: int, n: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(num_classes, 0.7))
    target = rng.choice(num_classes, n, p=weights)
    excluded = rng.random((n, num_classes)) < rng.random(num_classes)
    excluded[np.arange(n), target] = False
    return target, excluded


def share_of(order: Sequence[int], target: np.ndarray, excluded: np.ndarray) -> float:
    answers = np.array([next(u for u in order if not row[u]) for row in excluded])
    return float((answers == target).mean())


@examples(40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 30))
def test_the_best_answer_without_looking_is_that_of_the_best_of_all_orders(seed: int, n: int) -> None:
    target, excluded = questions(seed, n, 4)
    best = max(share_of(order, target, excluded) for order in itertools.permutations(range(4)))
    assert right_without_looking(target, excluded, np.zeros(4)) == pytest.approx(best)


@examples(20)
@given(seed=st.integers(0, 10_000))
def test_of_many_classes_no_model_that_never_looks_is_better(seed: int) -> None:
    """Whatever its order is: that is one of those that are tried."""
    target, excluded = questions(seed, 200, 14)
    logits = np.random.default_rng(seed).normal(size=14)
    found = right_without_looking(target, excluded, logits)
    assert found >= share_of(np.argsort(-logits).tolist(), target, excluded)
    assert found >= share_of(np.argsort(-np.bincount(target, minlength=14), kind="stable").tolist(), target, excluded)


def test_a_class_that_comes_late_step_by_step_may_come_first() -> None:
    """Step by step, 0 or 1 comes first, and is right on 180 or fewer of 230 images; 3, 0, 1 is right on all."""
    target = np.repeat([3, 1, 0], [50, 90, 90])
    rows = np.array([[0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1]], dtype=bool)
    assert right_without_looking(target, np.repeat(rows, [50, 90, 90], axis=0), np.zeros(4)) == 1


def test_of_no_image_nothing_is_right() -> None:
    assert np.isnan(right_without_looking(np.empty(0, dtype=np.int64), np.empty((0, 3), dtype=bool), np.zeros(3)))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_a_class_is_a_rival_of_the_images_that_could_be_taken_for_it(size: int) -> None:
    """By hand: of two images of 0, 2 is likely on the one that may be taken for it, and 3 on none."""
    logits = np.float32([[0, -9, 0, 5], [0, -9, 5, 5], [1, 0, 0, 0]])
    excluded = np.array([[0, 0, 0, 1], [0, 0, 1, 1], [0, 0, 0, 0]], dtype=bool)
    joined = join_predicted(parts(logits, size), tuple("abc"), np.array([0, 0, 1]), 4, Protocol(), excluded)
    assert_allclose(joined.confmat.soft[0, 2], 1 / (2 + np.exp(-9)), rtol=1e-6)
    assert joined.confmat.soft[0, 3] == 0
    assert_allclose(joined.confmat.soft[1], np.array([np.e, 1, 1, 1]) / (np.e + 3), rtol=1e-6)


def test_one_number_for_two_classes_is_the_number() -> None:
    """[-z/2, z/2]: the probability is that of z."""
    z = np.float32([3, 1, -3, -1])
    logits = np.stack([-z / 2, z / 2], axis=1)
    counter = LabelCounter(np.full(2, 0.9))
    counter.add(Predictions(sample_ids=tuple("abcd"), logits=logits, target=np.array([1, 1, 0, 0])))
    assert [s.value for s in counter.summaries(0.95) if s.metric == "label_recall"] == [0.5, 0.5]


@pytest.mark.parametrize("threshold", [0.5, 0.2])
def test_yes_and_no_are_those_of_scikit_learn(threshold: float) -> None:
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(200, 6)).astype(np.float32)
    logits[:, 5] = -9  # to which the model never says yes
    there = rng.random((200, 6)) < 0.4
    target = np.array([rng.choice(np.flatnonzero(row)) if row.any() else 0 for row in there])
    there[np.arange(200), target] = True
    excluded = there.copy()
    excluded[np.arange(200), target] = False
    counter = LabelCounter(np.full(6, threshold))
    names = tuple(map(str, range(200)))
    for i in range(0, 200, 60):
        part = slice(i, i + 60)
        counter.add(
            Predictions(sample_ids=names[part], logits=logits[part], target=target[part], excluded=excluded[part])
        )
    said = 1 / (1 + np.exp(-logits.astype(np.float64))) >= threshold
    precision, recall, _, support = precision_recall_fscore_support(there, said, zero_division=np.nan)
    found = {(s.metric, s.class_idx): s for s in counter.summaries(0.95)}
    assert_allclose([found["label_precision", u].value for u in range(6)], precision)
    assert_allclose([found["label_recall", u].value for u in range(6)], recall)
    assert [found["label_recall", u].n for u in range(6)] == support.tolist()
    assert [found["label_precision", u].n for u in range(6)] == said.sum(0).tolist()
    assert found["label_precision", 5].undefined_because == "class to which the model never says yes"


def test_images_without_logits_say_nothing() -> None:
    counter = LabelCounter(np.full(4, 0.5))
    counter.add(Predictions(sample_ids=tuple("abcd"), logits=LOGITS_BY_HAND, target=TARGET, excluded=EXCLUDED))
    recall = [s for s in counter.summaries(0.95) if s.metric == "label_recall"]
    assert [s.n for s in recall] == [3, 2, 2, 1]  # by hand, of the first three
    assert [s.n_undefined for s in recall] == [0, 0, 1, 1]


def test_each_class_may_have_a_threshold_of_its_own() -> None:
    protocol = Protocol(label_threshold=0.3, label_thresholds={"class 2": 0.9})
    assert_array_equal(thresholds_of(protocol, a_split(4, 9).class_names), [0.3, 0.3, 0.9, 0.3])
    with pytest.raises(ConfigError, match=r"protocol.label_thresholds: classes of the model were expected, 'cat' came"):
        thresholds_of(Protocol(label_thresholds={"cat": 0.5}), ("dog",))
    for fields in ({"label_threshold": 0.0}, {"label_thresholds": {"a": 1.0}}):
        with pytest.raises(ValueError, match="a probability above 0 and below 1 was expected"):
            Protocol(**fields)


def test_a_softmax_says_yes_to_no_class_by_itself() -> None:
    split = a_split(4, 9)
    assert label_counter(split, Protocol(), LOGITS, several=True) is not None
    assert label_counter(split, Protocol(), SOFTMAX, several=True) is None
    assert label_counter(split, Protocol(), LOGITS, several=False) is None
