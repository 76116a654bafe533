"""Predicting: order, batches, and what is refused."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor

from case_monitor.domain.errors import ModelError
from case_monitor.domain.predictions import Predictions
from case_monitor.judging.predicted_split import predicted_classes
from tests.support.sources import TensorSource
from tests.support.whole import predict


def model(images: Tensor) -> Tensor:
    return images[:, 0, :, 0]


@pytest.fixture
def source() -> TensorSource:
    return TensorSource(torch.randn(7, 1, 3, 2, generator=torch.Generator().manual_seed(0)), [0, 1, 2, 0, 1, 2, 0])


@pytest.mark.parametrize("batch_size", [1, 3, 7, 50])
def test_logits_come_in_the_order_of_the_split(source: TensorSource, batch_size: int) -> None:
    seen: list[tuple[str, int, int]] = []
    preds = predict(
        model, source, num_classes=3, batch_size=batch_size, progress=lambda *args: seen.append(args), stage="x"
    )
    assert_allclose(preds.logits, source.images[:, 0, :, 0])
    assert preds.sample_ids == source.sample_ids
    assert preds.target.tolist() == source.target.tolist()
    assert preds.preds.tolist() == source.images[:, 0, :, 0].argmax(1).tolist()
    assert seen[-1] == ("x", 7, 7)


def test_no_graph_is_recorded(source: TensorSource) -> None:
    weight = torch.ones((), requires_grad=True)
    preds = predict(lambda x: weight * model(x), source, num_classes=3, batch_size=2)
    assert preds.logits.dtype == np.float32


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (lambda x: x[:, 0, :2, 0], r"data set has 3, the model returns \(2,\) logits"),
        (lambda x: x, r"data set has 3, the model returns \(1, 3, 2\) logits"),
        (lambda x: x[:, 0, 0, 0], r"data set has 3, the model returns \(\) logits"),
    ],
)
def test_another_number_of_logits_is_refused(source: TensorSource, broken: object, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        predict(broken, source, num_classes=3, batch_size=2)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_logits_that_are_not_finite_predict_no_class(source: TensorSource, value: float) -> None:
    source.images[5, 0, 1, 0] = value
    preds = predict(model, source, num_classes=3, batch_size=4)
    assert preds.defined.tolist() == [True] * 5 + [False, True]
    assert preds.preds[5] == -1
    assert (preds.preds[preds.defined] >= 0).all()


def test_of_each_image_class_and_confidence_are_kept() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 3, (5, 4)).astype(np.float32)
    logits[3] = np.nan
    logits[4, 1] = np.inf
    target = np.arange(5) % 4
    kept = predicted_classes(Predictions(sample_ids=tuple("abcde"), logits=logits, target=target))
    expected = torch.softmax(torch.from_numpy(logits[:3]).double(), dim=1).amax(1).numpy()
    assert_allclose(kept.confidence[:3], expected, rtol=1e-12)
    assert np.isnan(kept.confidence[3:]).all()
    assert_array_equal(kept.preds, [*logits[:3].argmax(1), -1, -1])
    assert_array_equal(kept.defined, [True, True, True, False, False])
    assert (kept.sample_ids, kept.target.tolist()) == (tuple("abcde"), target.tolist())
