"""Counts and per-class quality against scikit-learn, soft confusion by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

from case_monitor.domain.predictions import Predictions
from case_monitor.judging.confusion import class_metrics
from tests.support.profiles import examples
from tests.support.whole import confusion_matrix


def predictions(logits: np.ndarray, target: list[int] | np.ndarray) -> Predictions:
    ids = tuple(str(i) for i in range(len(logits)))
    return Predictions(sample_ids=ids, logits=np.float32(logits), target=np.asarray(target, dtype=np.int64))


@pytest.fixture
def unbalanced() -> Predictions:
    """Seven classes: 5 has no image, 6 is never predicted."""
    rng = np.random.default_rng(0)
    target = rng.choice([0, 1, 2, 3, 4, 6], 300, p=[0.4, 0.2, 0.1, 0.1, 0.1, 0.1])
    logits = rng.normal(size=(300, 7))
    logits[np.arange(300), target] += 1
    logits[:, 6] = -9
    return predictions(logits, target)


def test_counts_equal_scikit_learn(unbalanced: Predictions) -> None:
    ours = confusion_matrix(unbalanced, 7).counts
    assert_array_equal(ours, metrics.confusion_matrix(unbalanced.target, unbalanced.preds, labels=range(7)))
    assert not (ours == ours.T).all()


@examples(50)
@given(
    logits=arrays(np.float32, (12, 4), elements=st.floats(-3, 3, width=32) | st.sampled_from([np.nan, np.inf])),
    target=arrays(np.int64, 12, elements=st.integers(0, 3)),
)
def test_counts_sum_to_the_images_that_have_a_prediction(logits: np.ndarray, target: np.ndarray) -> None:
    confmat, defined = confusion_matrix(predictions(logits, target), 4), np.isfinite(logits).all(1)
    assert confmat.counts.sum() == defined.sum()
    assert_array_equal(confmat.counts.sum(1), np.bincount(target[defined], minlength=4))
    seen = np.unique(target[defined])
    assert_allclose(confmat.soft[seen].sum(1), 1)
    assert np.isnan(np.delete(confmat.soft, seen, axis=0)).all()


def test_precision_recall_and_f1_equal_scikit_learn(unbalanced: Predictions) -> None:
    rows = class_metrics(confusion_matrix(unbalanced, 7), np.arange(7.0), 0.95)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        unbalanced.target, unbalanced.preds, labels=range(7), zero_division=np.nan
    )
    assert_allclose([r.precision for r in rows], precision)
    assert_allclose([r.recall for r in rows], recall)
    assert_allclose([r.f1 for r in rows], f1)
    assert [r.support for r in rows] == support.tolist()
    assert [r.class_idx for r in rows] == list(range(7))
    assert [r.active_channels for r in rows] == list(range(7))


def test_what_is_undefined_is_nan(unbalanced: Predictions) -> None:
    rows = class_metrics(confusion_matrix(unbalanced, 7), np.zeros(7), 0.95)
    assert np.isnan([rows[5].recall, rows[5].recall_ci_low, rows[5].recall_ci_high, rows[6].precision]).all()
    assert rows[6].recall == 0
    assert rows[6].f1 == 0


def test_a_class_without_image_and_never_predicted_has_no_f1() -> None:
    rows = class_metrics(confusion_matrix(predictions(np.eye(3)[[0, 1]], [0, 1]), 3), np.zeros(3), 0.95)
    assert np.isnan([rows[2].precision, rows[2].recall, rows[2].f1]).all()


def test_the_interval_of_recall_is_wilsons(unbalanced: Predictions) -> None:
    confmat = confusion_matrix(unbalanced, 7)
    for row in class_metrics(confmat, np.zeros(7), 0.9):
        if row.support:
            hits = confmat.counts[row.class_idx, row.class_idx]
            expected = proportion_confint(hits, row.support, alpha=0.1, method="wilson")
            assert_allclose((row.recall_ci_low, row.recall_ci_high), expected, atol=1e-12)


def test_soft_confusion_by_hand() -> None:
    logits = np.log([[0.7, 0.2, 0.1], [0.5, 0.1, 0.4], [0.1, 0.8, 0.1]])
    soft = confusion_matrix(predictions(logits, [0, 0, 1]), 3).soft
    assert_allclose(soft[:2], [[0.6, 0.15, 0.25], [0.1, 0.8, 0.1]], rtol=1e-6)
    assert np.isnan(soft[2]).all()


def test_soft_confusion_survives_extreme_logits() -> None:
    soft = confusion_matrix(predictions(np.array([[1e4, 0.0], [-1e4, 0.0]]), [0, 1]), 2).soft
    assert_array_equal(soft, [[1, 0], [0, 1]])
