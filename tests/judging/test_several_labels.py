"""Images of several classes: what is asked of the model, and what of it is right."""

import itertools

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
    assert_allclose(joined.classes.confidence[2], np.e / (1 + np.e), rtol=1e-6)
    assert joined.sample.preds.sample_ids == ("a", "c")
    assert_array_equal(joined.sample.top2, [2, 1])
    assert_array_equal(joined.sample.preds.logits, LOGITS_BY_HAND[[0, 2]])  # as the model gave them
    few = joined.sample.spread(1)
    assert few.preds.excluded is not None
    assert_array_equal(few.preds.excluded, EXCLUDED[[0]])
    assert joined.constant == pytest.approx(2 / 3)  # 0 first: right on b, and c and a go on to the next


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


@examples(40)
@given(seed=st.integers(0, 10_000), n=st.integers(1, 30))
def test_an_answer_without_looking_is_that_of_one_order(seed: int, n: int) -> None:
    """Every order of four classes is tried: one has this share, and none has much more."""
    rng = np.random.default_rng(seed)
    target = rng.choice(4, n, p=(0.5, 0.3, 0.1, 0.1))
    excluded = rng.random((n, 4)) < 0.3
    excluded[np.arange(n), target] = False
    shares = []
    for order in itertools.permutations(range(4)):
        answers = np.array([next(u for u in order if not row[u]) for row in excluded])
        shares.append((answers == target).mean())
    found = right_without_looking(target, excluded)
    assert any(found == pytest.approx(share) for share in shares)
    assert found >= np.bincount(target).max() / n
    assert found >= max(shares) - 0.2


def test_of_no_image_nothing_is_right() -> None:
    assert np.isnan(right_without_looking(np.empty(0, dtype=np.int64), np.empty((0, 3), dtype=bool)))


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
