"""One image shown to a version: for as many classes as somebody has said that it has."""

import pytest
import torch

from case_monitor.domain.errors import ModelError
from case_monitor.domain.protocol import Protocol
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.measuring_process.first_image import shown
from tests.isolation.models import ISOLATION
from tests.isolation.networks import Network
from tests.support.models_here import saved
from tests.support.sources import TensorSource

PROTOCOL = Protocol(methods=("gradcam",), target_layer="conv")
SOURCE = TensorSource(torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(0)), [0])


def model(groups: tuple[int, ...] = ()) -> ConfinedModel:
    """Of three classes."""
    torch.manual_seed(0)
    return ConfinedModel(saved(Network().eval()), PROTOCOL, "cpu", ISOLATION, groups)


@pytest.mark.parametrize(("groups", "num_classes"), [((), 3), ((), None), ((0, 1, 1), 2), ((0, 1, 1), None)])
def test_the_two_first_classes_are_drawn(groups: tuple[int, ...], num_classes: int | None) -> None:
    gallery = shown(SOURCE, model(groups), PROTOCOL, None, num_classes)
    classes = len(set(groups)) or 3
    assert gallery.target[0] != gallery.top2[0]
    assert max(gallery.target[0], gallery.top2[0]) < classes
    assert gallery.maps["gradcam"].shape == (1, 2, 4, 4)


@pytest.mark.parametrize(("groups", "num_classes", "came"), [((), 2, 3), ((0, 1, 1), 3, 2)])
def test_contrast_sets_of_another_number_of_classes_are_not_taken(
    groups: tuple[int, ...], num_classes: int, came: int
) -> None:
    """As of an evaluation by a class map that the configuration has no more."""
    expected = f"logits of {num_classes} classes were expected, .*, {came} came; correct models.<name>.class_names or"
    with pytest.raises(ModelError, match=expected):
        shown(SOURCE, model(groups), PROTOCOL, {0: {1: 1.0}}, num_classes)
