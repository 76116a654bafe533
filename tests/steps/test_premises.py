"""What a figure supposes of a model is looked at first: that it returns logits, one a class, in the classes' order."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from case_monitor.domain.errors import ModelError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import CONTRAST_THRESHOLDS, Policy
from case_monitor.domain.predictions import PredictedPart
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.status import Status
from case_monitor.judging.premises import SeenOutputs, order_notes
from tests.steps.test_trial import version
from tests.support.sources import ChannelBlobNet, TensorSource, a_split, blobs
from tests.support.toys import Ending
from tests.support.trial import LoadedVersion, evaluate

POLICY = Policy(gate_method="gradcam", min_samples=20, min_class_samples=10, thresholds=CONTRAST_THRESHOLDS)
JUDGED = ("accuracy", "skill", "pair_contrast", "fidelity_dz", "shown_contrast", "recall")


def judged(
    model: nn.Module,
    source: TensorSource,
    num_classes: int,
    outputs: str = "auto",
    layer: str = "net.relu",
    groups: tuple[int, ...] = (),
) -> Evaluation:
    split = replace(a_split(num_classes, len(source.sample_ids)), groups=groups)
    loaded = LoadedVersion(version=version(1), model=model, split=split, source=source)
    protocol = Protocol(methods=("gradcam",), sample_size=120, batch_size=8, outputs=outputs, target_layer=layer)
    return evaluate(loaded, None, policy=POLICY, protocol=protocol).evaluation


def figures(evaluation: Evaluation) -> dict[tuple[str, int | None], float]:
    return {(s.metric, s.class_idx): s.value for s in evaluation.summaries if s.metric in JUDGED}


FOUR = blobs(120, range(4), noise=0.5)
ENDINGS = {"softmax": lambda s: s.softmax(1), "log-softmax": lambda s: s.log_softmax(1)}


@pytest.mark.parametrize("name", ENDINGS)
def test_the_same_weights_get_the_same_verdict_whatever_they_end_in(name: str) -> None:
    """All figures of the gate: they are of centred logits, and those are the same."""
    net = ChannelBlobNet(4)
    plain, other = judged(Ending(net, lambda s: s), FOUR, 4), judged(Ending(net, ENDINGS[name]), FOUR, 4)
    assert (plain.verdict.status, other.verdict.status) == (Status.PASS, Status.PASS)
    expected = figures(plain)
    assert set(figures(other)) == set(expected)
    for key, value in figures(other).items():
        assert value == pytest.approx(expected[key], abs=0.02), key  # a pixel at the edge may change sides
    says = "The model returns probabilities, of a softmax: their logarithm is taken for the logits."
    assert (says in other.verdict.notes) is (name == "softmax")


@pytest.mark.parametrize(("dtype", "atol"), [(torch.float64, 1e-6), (torch.bfloat16, 0.1), (torch.float16, 0.02)])
def test_a_model_of_another_type_gets_its_images_in_it(dtype: torch.dtype, atol: float) -> None:
    """Its figures are those of float32, up to what 16 bits round: a share of the images may tip."""
    plain = judged(Ending(ChannelBlobNet(4), lambda s: s), FOUR, 4)
    other = judged(Ending(ChannelBlobNet(4).to(dtype), lambda s: s), FOUR, 4)
    for key, value in figures(other).items():
        assert value == pytest.approx(figures(plain)[key], abs=atol, rel=atol), key
    assert (plain.verdict.status, other.verdict.status) == (Status.PASS, Status.PASS)


def test_a_compiled_model_is_the_one_inside() -> None:
    plain, net = judged(Ending(ChannelBlobNet(4), lambda s: s), FOUR, 4), Ending(ChannelBlobNet(4), lambda s: s)
    other = judged(torch.compile(net, backend="eager"), FOUR, 4)
    assert (plain.verdict.status, other.verdict.status) == (Status.PASS, Status.PASS)
    assert figures(other) == figures(plain)


class Casting(nn.Module):
    """Has parameters of several types, and casts what it needs."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.temperature, self.net = nn.Parameter(torch.ones((), dtype=dtype)), ChannelBlobNet(4)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.net(images) * self.temperature.float()
        return found


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_the_type_of_most_weights_counts(dtype: torch.dtype) -> None:
    assert judged(Ending(Casting(dtype), lambda s: s), FOUR, 4, layer="net.net.relu").verdict.status is Status.PASS


@pytest.mark.parametrize("ending", ["logit", "flat logit", "probability"])
def test_one_number_gets_the_verdict_of_its_two_classes(ending: str) -> None:
    net, two = ChannelBlobNet(2), blobs(120, range(2), noise=0.5)
    ways = {
        "logit": lambda s: s[:, 1:] - s[:, :1],
        "flat logit": lambda s: s[:, 1] - s[:, 0],
        "probability": lambda s: (s[:, 1:] - s[:, :1]).sigmoid(),
    }
    outputs = "sigmoid" if ending == "probability" else "auto"
    plain, other = judged(Ending(net, lambda s: s), two, 2), judged(Ending(net, ways[ending]), two, 2, outputs)
    assert (plain.verdict.status, other.verdict.status) == (Status.PASS, Status.PASS)
    for key, value in figures(other).items():
        assert value == pytest.approx(figures(plain)[key], abs=0.02), key
    assert (
        "The model returns one number for two classes: above 0, as a logit, it says 'class 1'." in other.verdict.notes
    )


@pytest.mark.parametrize("ending", [lambda s: s.sigmoid(), lambda s: (s[:, 1:2] - s[:, :1]).sigmoid()])
def test_probabilities_that_no_softmax_gives_are_no_logits(ending: Any) -> None:
    net, two = ChannelBlobNet(2), blobs(120, range(2), noise=0.5)
    with pytest.raises(
        ModelError,
        match=r"^outputs of model blobs/1: logits were expected, .* came for all .* set protocol.outputs: sigmoid",
    ):
        judged(Ending(net, ending), two, 2)
    assert judged(Ending(net, ending), two, 2, "logits").verdict.status is not None


def test_a_model_of_one_number_fits_two_classes_only() -> None:
    with pytest.raises(ModelError, match="number of classes: the data set has 4"):
        judged(Ending(ChannelBlobNet(2), lambda s: s[:, 1]), FOUR, 4)


def test_what_turns_out_to_be_no_probability_never_passes() -> None:
    """Softmax for the images that are looked at first, and logits for the others."""

    def turning(logits: Tensor) -> Tensor:
        return logits.softmax(1) if len(logits) <= 2 else logits

    evaluation = judged(Ending(ChannelBlobNet(4), turning), FOUR, 4)
    assert evaluation.verdict.status is not judged(Ending(ChannelBlobNet(4), lambda s: s), FOUR, 4).verdict.status


EIGHT = tuple(u // 2 for u in range(8))


class Halves(nn.Module):
    """Each of four classes as two, of which nobody can tell which is right: by log 2 less likely, and a bit apart."""

    def __init__(self, ending: Callable[[Tensor], Tensor] = lambda s: s) -> None:
        super().__init__()
        self.net, self.ending = ChannelBlobNet(4), ending

    def forward(self, images: Tensor) -> Tensor:
        logits = self.net(images)
        two = torch.stack([logits + 0.3, logits - 0.3], 2).flatten(1)
        return self.ending(two - torch.tensor([0.3, -0.3]).logsumexp(0))


@pytest.mark.parametrize("ending", [lambda s: s, lambda s: s.softmax(1)])
def test_classes_that_count_as_one_get_the_verdict_of_the_one(ending: Any) -> None:
    plain, halves = (
        judged(Ending(ChannelBlobNet(4), lambda s: s), FOUR, 4),
        judged(Halves(ending), FOUR, 4, groups=EIGHT),
    )
    assert halves.verdict.status is plain.verdict.status is Status.PASS
    expected = figures(plain)
    assert set(figures(halves)) == set(expected)
    for key, value in figures(halves).items():
        assert value == pytest.approx(expected[key], abs=0.02), key


def test_probabilities_are_seen_through_groups() -> None:
    with pytest.raises(ModelError, match="as of a sigmoid"):
        judged(Halves(torch.sigmoid), FOUR, 4, groups=EIGHT)
    zeros = part(*[(np.log(2.0), np.log(3.0))] * 20)  # of logits 0, which a sigmoid says of what is surely not there
    outputs = SeenOutputs((0, 0, 1, 1, 1))
    assert len(list(outputs.of([zeros]))) == 1
    with pytest.raises(ModelError, match="came for all 20 images, as of a sigmoid"):
        outputs.require_logits("model a/1", "logits", "auto")


def part(*rows: tuple[float, ...]) -> PredictedPart:
    return PredictedPart(logits=np.array(rows, dtype=np.float32), active_channels=np.zeros(len(rows), dtype=np.int64))


def seen(*rows: tuple[float, ...]) -> SeenOutputs:
    outputs = SeenOutputs()
    assert len(list(outputs.of([part(*rows)]))) == 1
    return outputs


@pytest.mark.parametrize(
    ("rows", "refused"),
    [
        ([(0.0, 1.0, 0.3)] * 20, True),
        ([(0.0, 1.0, 0.3)] * 19, False),  # too few to say so
        ([(0.0, 1.0, 0.3)] * 19 + [(0.0, 1.001, 0.3)], False),
        ([(0.0, 1.0, 0.3)] * 19 + [(-0.001, 1.0, 0.3)], False),
        ([(-0.25, 0.25)] * 20, True),  # 0.5, as one number
        ([(-0.25, 0.25)] * 19 + [(0.1, -0.1)], False),
        ([(float("nan"), 0.5, 0.5)] * 30, False),  # withheld for that
        ([(float("nan"), 0.5, 0.5)] + [(0.0, 1.0, 0.3)] * 20, True),
    ],
)
def test_numbers_from_0_to_1_of_enough_images_are_refused(rows: list[tuple[float, ...]], refused: bool) -> None:
    outputs = seen(*rows)
    if refused:
        with pytest.raises(ModelError, match="logits were expected"):
            outputs.require_logits("model a/1", "logits", "auto")
    else:
        outputs.require_logits("model a/1", "logits", "auto")
    outputs.require_logits("model a/1", "logits", "logits")  # somebody has said so
    outputs.require_logits("model a/1", "softmax", "auto")  # they were taken back


NAMES = ("ant", "bee", "cat", "dog")


def said(counts: list[list[int]]) -> list[str]:
    return list(order_notes(np.array(counts), NAMES[: len(counts)]))


def test_two_classes_that_changed_places_are_named() -> None:
    [note] = said([[9, 0, 1, 0], [0, 1, 9, 0], [1, 9, 0, 0], [0, 0, 0, 10]])
    assert note == (
        "The classes may be in another order than the model's: it takes most images of 'bee' for 'cat', 'cat' for "
        "'bee'. Accuracy is 50.0%; in that order it would be 92.5%. Look at the class names that were logged with the "
        "model, or that the configuration has."
    )


@pytest.mark.parametrize(
    "counts",
    [
        [[9, 1], [2, 8]],
        [[10, 0], [10, 0]],  # one class for all
        [[5, 5], [5, 5]],
        [[0, 10, 0], [0, 10, 0], [0, 0, 10]],  # ant is dead: nothing is taken for it
        [[0, 0], [9, 1]],  # no image of ant
        [[4, 6, 0], [4, 3, 3], [3, 3, 4]],  # a weak model
    ],
)
def test_a_bad_model_is_no_other_order(counts: list[list[int]]) -> None:
    assert said(counts) == []


@pytest.mark.parametrize("order", [(1, 0, 2, 3), (1, 2, 0, 3), (3, 2, 1, 0), (1, 2, 3, 0)])
def test_every_order_but_the_right_one_is_found(order: tuple[int, ...]) -> None:
    """Of a model that is right in 80 of 100 images."""
    right = np.full((4, 4), 7) + np.eye(4, dtype=int) * 73
    [note] = said(right[:, list(order)].tolist())
    assert note.count(" for ") == sum(u != v for u, v in enumerate(order))
    assert said(right.tolist()) == []
