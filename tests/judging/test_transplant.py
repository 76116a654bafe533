"""Where maps fall in one place: pixels of a class, put into other images, tell a model that reads a mark."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor, nn

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging import transplant
from case_monitor.judging.further import Further
from case_monitor.judging.missed_limits import _transplanted
from case_monitor.judging.statistics.intervals import standardised_mean_interval
from case_monitor.judging.transplant import RECEIVING
from case_monitor.measuring.position import most_frequent
from tests.support.sources import TensorSource, a_split
from tests.support.trial import LoadedVersion, evaluate

CLASSES, SIDE, IMAGES = 3, 8, 150
POLICY = Policy(gate_method="gradcam")
PROTOCOL = Protocol(methods=("gradcam",), sample_size=IMAGES)


class Linear(nn.Module):
    """Logits are sums of weighted pixels, which the layer holds."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images * self.weight).sum((2, 3))


def corner_weight() -> Tensor:
    """Of each class one pixel in the corner counts."""
    weight = torch.zeros(CLASSES, SIDE, SIDE)
    for u in range(CLASSES):
        weight[u, 0, u] = 10
    return weight


def some_images() -> Tensor:
    """(N, 1, H, W) noise; each has one of the first pixels lit, which tells its class."""
    rng = torch.Generator().manual_seed(1)
    images = torch.rand(IMAGES, 1, SIDE, SIDE, generator=rng)
    images[:, 0, 0, :CLASSES] *= 0.1
    images[torch.arange(IMAGES), 0, 0, torch.arange(IMAGES) % CLASSES] = 1
    return images


def evaluated(model: nn.Module, images: Tensor, stages: list[str] | None = None) -> Evaluation:
    source = TensorSource(images, np.arange(IMAGES) % CLASSES)
    one = ModelVersion(name="toy", version=1, run_id=None, digest="1" * 64)
    version = LoadedVersion(version=one, model=model.eval(), split=a_split(CLASSES, IMAGES), source=source)
    return evaluate(version, None, policy=POLICY, protocol=PROTOCOL).evaluation


def rows(evaluation: Evaluation, metric: str) -> dict[int | None, MetricSummary]:
    return {s.class_idx: s for s in evaluation.summaries if s.metric == metric}


def by_hand(weight: Tensor, images: Tensor, u: int, pixels: list[int]) -> np.ndarray:
    """(n,) rises of a linear model: only the pixels that were put in count, and the rest falls out."""
    flat, target = images.flatten(1).numpy(), np.arange(IMAGES) % CLASSES
    weights = weight.flatten(1).numpy()
    evidence = weights[u] - weights.mean(0)
    own, others = np.flatnonzero(target == u), np.flatnonzero(target != u)
    assert len(others) == RECEIVING
    rises = []
    for j in range(len(others)):
        giver, other = own[j % len(own)], others[(j - len(others) // 2) % len(others)]
        rises.append(((flat[giver] - flat[other]) * evidence)[pixels].sum())
    return np.array(rises)


def test_of_a_linear_model_the_figure_is_known() -> None:
    weight, images = corner_weight(), some_images()
    evaluation = evaluated(Linear(weight), images)
    found = rows(evaluation, "transplant")
    assert set(found) == {0, 1, 2}
    for u, row in found.items():
        assert u is not None
        pixels = evaluation.scores.places[u].tolist()
        assert u in pixels  # the pixel that tells the class
        rises = by_hand(weight, images, u, pixels)
        assert row.n == len(rises)
        assert row.value == np.mean((rises > 0) + 0.5 * (rises == 0))
        assert_allclose(row.effect_size, rises.mean() / rises.std(ddof=1), rtol=1e-4)


def test_a_model_that_reads_a_mark_is_told_so() -> None:
    evaluation = evaluated(Linear(corner_weight()), some_images())
    found = rows(evaluation, "transplant")
    assert min(standardised_mean_interval(row.effect_size, row.n, 0.95)[0] for row in found.values()) > 1
    advice = {alert.class_idx: alert.advice for alert in evaluation.alerts if alert.rule == "position"}
    assert set(advice) == {0, 1, 2}
    assert all("It reads what is there: " in words for words in advice.values())


def test_maps_all_over_the_image_ask_for_none() -> None:
    weight = torch.randn(CLASSES, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    images = some_images()
    evaluation = evaluated(Linear(weight), images)
    position = rows(evaluation, "position")
    assert position.pop(None).value < 0.4
    assert all(row.value < 0.65 for row in position.values())
    assert rows(evaluation, "transplant") == {}


def position(value: float, class_idx: int | None, n: int = 30) -> MetricSummary:
    return MetricSummary(metric="position", method="", class_idx=class_idx, value=value, n=n)


@pytest.mark.parametrize(
    ("found", "suspected"),
    [
        ([position(0.1, None), position(0.64, 0), position(0.66, 1), position(0.9, 2)], [2, 1]),
        ([position(0.1, None), position(0.9, 0, n=4), position(float("nan"), 1)], []),  # too few; none
        ([position(0.5, None), position(0.3, 0), position(0.6, 1)], [1, 0]),
        ([position(0.1, None), *(position(0.9 + u / 100, u) for u in range(8))], [7, 6, 5, 4, 3]),
        ([], []),
    ],
)
def test_the_classes_that_fall_in_one_place_most_are_asked(found: list[MetricSummary], suspected: list[int]) -> None:
    assert transplant._suspected(found) == suspected


@pytest.mark.parametrize(
    ("effect", "words"),
    [
        (1.5, "It reads what is there: what images of the class have in that place"),
        (0.6, "No mark is seen in it: what images of the class have in that place"),
        (float("nan"), "put what is there into images of other classes, and see"),
        (None, "put what is there into images of other classes, and see"),
    ],
)
def test_what_is_said(effect: float | None, words: str) -> None:
    row: Any = MetricSummary(
        metric="transplant", method="", class_idx=1, value=0.9, n=100, ci_low=0.8, ci_high=0.95, effect_size=effect or 0
    )
    others = Further(transplants=() if effect is None else (row,))
    for class_idx in (None, 1):
        assert words in _transplanted(others.transplant(class_idx))
    assert others.transplant(2) is None


def test_a_mark_that_is_always_the_same_is_not_lost_for_want_of_an_sd() -> None:
    """Of two classes, whose marks are all that a linear model reads, every image turns by as much."""
    weight = torch.zeros(2, SIDE, SIDE)
    weight[0, 0, 0], weight[1, 0, 1] = 10, 10
    images = torch.zeros(IMAGES, 1, SIDE, SIDE)
    images[torch.arange(IMAGES), 0, 0, torch.arange(IMAGES) % 2] = 1
    source = TensorSource(images, np.arange(IMAGES) % 2)
    one = ModelVersion(name="toy", version=1, run_id=None, digest="1" * 64)
    version = LoadedVersion(version=one, model=Linear(weight), split=a_split(2, IMAGES), source=source)
    evaluation = evaluate(version, None, policy=POLICY, protocol=PROTOCOL).evaluation
    for row in rows(evaluation, "transplant").values():
        assert (row.value, row.n) == (1, 75)
        assert np.isnan(row.effect_size)
    advice = [alert.advice for alert in evaluation.alerts if alert.rule == "position"]
    assert advice
    assert all("It reads what is there: " in words and "all by as much" in words for words in advice)


def test_the_most_frequent_pixels_of_a_class_come_in_order_and_are_a_tenth() -> None:
    bits = np.zeros((4, 40), dtype=np.uint8)
    bits[:2, [7, 3]] = 1
    bits[0, [11, 30]] = 1
    bits[1, [12, 30, 31]] = 1
    bits[2, [1]] = 1
    found = most_frequent(np.packbits(bits, axis=1), np.array([0, 0, 2, 2]))
    assert set(found) == {0, 2}
    assert_array_equal(found[0], [3, 7, 11, 30])  # two in both, one in both, and of those in one the first
    assert_array_equal(found[2], [1])  # no more are in any
