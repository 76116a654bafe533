"""Reduced networks: what they return, and that the paper's layers are in them."""

import pytest
import torch
from torch import nn

from case_monitor.demo.small_networks import SMALL_NETWORKS, untrained
from case_monitor.domain.protocol import AUTO
from case_monitor.saliency import saliency_maps
from case_monitor.settings.study import PAPER_LAYERS


@pytest.mark.parametrize("name", SMALL_NETWORKS)
@pytest.mark.parametrize("channels", [1, 3])
def test_logits_of_grey_and_coloured_images(name: str, channels: int) -> None:
    model = untrained(name, channels, 7, seed=0)
    assert model(torch.zeros(2, channels, 32, 32)).shape == (2, 7)


@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_the_papers_layer_is_the_last_convolution_in_space(name: str) -> None:
    """As in its full-size relative: no spatial convolution follows it (ConvNeXt's is depthwise, in its last block)."""
    model = untrained(name, 1, 5, seed=0)
    convolutions = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d) and m.kernel_size != (1, 1)]
    assert PAPER_LAYERS[name][0] == convolutions[-1]


@pytest.mark.parametrize("name", SMALL_NETWORKS)
def test_its_layers_can_be_explained(name: str) -> None:
    model = untrained(name, 1, 5, seed=0)
    images = torch.randn(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    for layer in (*PAPER_LAYERS[name], AUTO):
        maps = saliency_maps(model, images, torch.tensor([[0, 1], [2, 3]]), target_layer=layer, methods=("gradcam",))
        assert maps["gradcam"].shape == (2, 2, 32, 32)


def test_weights_are_of_the_seed() -> None:
    first, again, other = (untrained("vgg", 1, 5, seed=s).state_dict()["features.0.weight"] for s in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
