"""Which layer to explain: the right one where one is known to be, and none where it makes no difference."""

import itertools
from contextlib import ExitStack
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from case_monitor.domain.errors import ConfigError, DataError, ModelError
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.judging.layer_advice import LayerAdvice, advise_layer
from case_monitor.saliency import MOST_LAYERS, candidate_layers
from tests.steps.test_trial import version
from tests.support.sources import BlobNet, TensorSource, a_split, blobs
from tests.support.trial import HERE, LoadedVersion, subject_of

POLICY = Policy(gate_method="gradcam")
PROTOCOL = Protocol(methods=("gradcam", "case"), batch_size=16, contrast_k=2)


class Late(BlobNet):
    """Behind `smooth`, whose channels are alike, each class has a channel in which its blobs alone are bright.

    What is pooled of gradients tells nothing apart where channels are alike, and all where each is of a class: maps of
    `late` know their class, those of `smooth` cannot. `same` repeats `late`.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.late, self.same = nn.Identity(), nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, 20, 24) -> (B, num_classes) logits."""
        seen = self.smooth(images)
        faint = 0.2 * seen.relu()  # other classes are there, a little, so that maps have something to say of both
        of_class = self.same(self.late(seen.relu() * self.columns + faint))
        logits: Tensor = self.gain * (of_class - of_class.mean(1, keepdim=True)).sum((-2, -1))
        return logits


SOURCE = blobs(160, range(4), noise=0.5, seed=3)


def advised(
    model: nn.Module, *names: str, taken: str, source: TensorSource = SOURCE, images: int = 120, **policy: object
) -> LayerAdvice:
    loaded = LoadedVersion(version=version(1), split=a_split(4, len(source.images)), source=source, model=model.eval())
    protocol = replace(PROTOCOL, target_layer=taken)
    with ExitStack() as held:
        subject = subject_of(loaded, protocol, HERE, held)
        return advise_layer(subject, names, protocol, replace(POLICY, **policy), images=images)


def test_the_layer_whose_maps_know_their_class_is_recommended() -> None:
    found = advised(Late(4), "smooth", "late", taken="smooth")
    assert (found.taken, found.recommended) == ("smooth", "late")
    shares = {row.layer: row.value("pair_contrast") for row in found.rows}
    assert shares["late"] is not None
    assert shares["late"] > 0.95
    assert found.rows[1].gain is not None
    assert found.rows[1].gain.ci_low > 0
    assert found.reason.startswith("At late, maps know which class they explain (")
    assert found.reason.endswith(f"on the same {found.images} images.")


def test_where_the_right_one_is_taken_nothing_else_is_recommended() -> None:
    found = advised(Late(4), "smooth", "late", taken="late")
    assert found.recommended == "late"
    assert found.reason.startswith("The other layer is not surely better than late (")


def test_the_same_layer_again_makes_no_difference() -> None:
    found = advised(Late(4), "late", "same", taken="late")
    assert found.recommended == "late"
    assert found.reason.endswith(f"no difference that {found.images} images show.")
    late, same = found.rows
    assert late.gain is None
    assert same.gain is not None
    assert same.gain.value == 0
    assert {m: s.value for m, s in late.figures.items()} == {m: s.value for m, s in same.figures.items()}
    assert late.active_channels == same.active_channels


def test_without_names_layers_of_the_model_are_tried() -> None:
    found = advised(Late(4), taken="late")
    assert {row.layer for row in found.rows} >= {"late"}
    assert 1 <= len(found.rows) <= 9


def test_a_layer_that_cannot_be_explained_ends_nothing() -> None:
    found = advised(Late(4), "nothing", "late", taken="late")
    assert "nothing" in found.rows[0].problem
    assert found.recommended == "late"
    assert found.rows[1].value("pair_contrast") is not None


def test_too_few_images_advise_nothing() -> None:
    with pytest.raises(DataError, match=r"layers of blobs/1: 20 or more correctly classified images.*--images"):
        advised(Late(4), "smooth", taken="late", images=15)


def test_probabilities_that_are_taken_for_logits_are_refused() -> None:
    with pytest.raises(ModelError, match=r"logits were expected.*protocol\.outputs: sigmoid"):
        advised(nn.Sequential(Late(4), nn.Sigmoid()), "0.late", taken="0.smooth")


def test_a_method_of_no_layer_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"policy\.gate_method: a method of a layer was expected, Occlusion explains none"
    ):
        advised(Late(4), "smooth", taken="late", gate_method="occlusion")


def test_candidates_are_spread_over_the_network() -> None:
    torch.manual_seed(0)
    blocks = [nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.ReLU()) for _ in range(20)]
    model = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), *blocks[:10], nn.MaxPool2d(2), *blocks[10:], nn.Flatten(), nn.LazyLinear(3)
    )
    images = torch.randn(2, 1, 16, 16)
    model(images)
    found = candidate_layers(model.eval(), images)
    numbers = [int(name.partition(".")[0]) for name in found]
    assert len(found) == MOST_LAYERS
    assert numbers == sorted(numbers)
    assert {10, 21} <= set(numbers)  # the last at each size
    assert max(b - a for a, b in itertools.pairwise(numbers)) <= 6


class Forgets(Late):
    """Dropout that stays on, as where `training` is not passed."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, 20, 24) -> (B, num_classes) logits."""
        return super().forward(nn.functional.dropout(images, 0.3))


def test_a_model_that_answers_otherwise_each_time_gets_no_advice() -> None:
    with pytest.raises(
        ModelError, match=r"a function of the image was expected, \d+% of the images got another answer"
    ):
        advised(Forgets(4), "smooth", "late", taken="smooth")


class Unused(Late):
    """A layer whose output counts for nothing."""

    def __init__(self, num_classes: int) -> None:
        super().__init__(num_classes)
        self.unused = nn.Conv2d(1, 4, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, 20, 24) -> (B, num_classes) logits."""
        return super().forward(images) + 0 * self.unused(images).sum((-2, -1))


def test_a_layer_without_a_figure_is_not_called_as_good_as_others() -> None:
    found = advised(Unused(4), "late", taken="unused")
    assert found.recommended == "unused"
    assert found.reason.startswith("unused has no figure that another layer could be compared with: ")
