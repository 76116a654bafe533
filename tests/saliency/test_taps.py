"""Graphs against the modules they came from, and the automatic target layer."""

import pytest
import torch
import torchvision
from torch import Tensor, fx, nn

from case_monitor.demo.models import AttentionCNN, PlainCNN
from case_monitor.domain.errors import ModelError, TargetLayerError
from case_monitor.saliency import METHODS, find_target_layer, saliency_maps
from case_monitor.saliency.outputs import Outputs
from tests.support.toys import a_cnn, some_images

TARGETS = torch.tensor([[0, 1], [2, 3]])


def exported(model: nn.Module, images: Tensor) -> nn.Module:
    program = torch.export.export(model, (images,), dynamic_shapes=({0: torch.export.Dim.AUTO},))
    graph: nn.Module = program.module()
    return graph


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("layer", ["features.4", "relu"])
@pytest.mark.parametrize("kind", ["traced", "exported"])
def test_a_graph_has_the_maps_of_its_module(kind: str, layer: str, inplace: bool) -> None:
    model, images = a_cnn(1, inplace=inplace), some_images()
    graph = fx.symbolic_trace(model) if kind == "traced" else exported(model, images)
    expected = saliency_maps(model, images, TARGETS, target_layer=layer, methods=tuple(METHODS))
    maps = saliency_maps(graph, images, TARGETS, target_layer=layer, methods=tuple(METHODS))
    for method in METHODS:
        assert expected[method].max() > 0
        torch.testing.assert_close(maps[method], expected[method], rtol=1e-4, atol=1e-6)


@pytest.fixture(scope="module")
def resnet() -> nn.Module:
    torch.manual_seed(0)
    return torchvision.models.resnet18(num_classes=10).eval()


@pytest.fixture(scope="module")
def resnet_graph(resnet: nn.Module) -> nn.Module:
    return exported(resnet, torch.rand(2, 3, 64, 64))


def test_an_exported_resnet_has_the_layer_and_the_maps_of_its_module(
    resnet: nn.Module, resnet_graph: nn.Module
) -> None:
    images = torch.rand(2, 3, 64, 64)
    layer = find_target_layer(resnet_graph, images)
    assert layer == find_target_layer(resnet, images)
    expected = saliency_maps(resnet, images, TARGETS, target_layer=layer, methods=("case", "gradcam"))
    maps = saliency_maps(resnet_graph, images, TARGETS, target_layer=layer, methods=("case", "gradcam"))
    for method, expected_maps in expected.items():
        torch.testing.assert_close(maps[method], expected_maps, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("nowhere", "'nowhere' does not exist"),
        ("fc", "output of shape"),
        ("layer4.1.relu", "one call per forward pass was expected, 2 came"),
    ],
)
def test_an_exported_graph_refuses_the_layers_that_a_module_refuses(
    layer: str, message: str, resnet: nn.Module, resnet_graph: nn.Module
) -> None:
    for model in (resnet, resnet_graph):
        with pytest.raises(TargetLayerError, match=message):
            saliency_maps(model, torch.rand(2, 3, 64, 64), TARGETS, target_layer=layer)


@pytest.mark.parametrize(
    ("name", "layer"),
    [("resnet18", "layer4"), ("vgg11", "features"), ("densenet121", "features"), ("mobilenet_v3_small", "features")],
)
def test_the_automatic_layer_is_the_last_blocks_output(name: str, layer: str) -> None:
    model = torchvision.models.get_model(name, num_classes=3)
    assert find_target_layer(model, torch.rand(1, 3, 64, 64)) == layer


def test_the_automatic_layer_of_a_convnext_is_the_last_blocks_output() -> None:
    settings = [
        torchvision.models.convnext.CNBlockConfig(4, 8, 1),
        torchvision.models.convnext.CNBlockConfig(8, None, 1),
    ]
    model = torchvision.models.ConvNeXt(settings, num_classes=3)
    assert find_target_layer(model, torch.rand(1, 3, 32, 32)) == "features"


def test_the_automatic_layer_of_small_models() -> None:
    assert find_target_layer(a_cnn(pooled=True), some_images()) == "relu"
    assert find_target_layer(PlainCNN(4), torch.rand(1, 1, 16, 16)) == "features"
    assert find_target_layer(AttentionCNN(4), torch.rand(1, 1, 16, 16)) == "attention"


def test_the_automatic_layer_passes_over_masks_and_layers_that_run_twice() -> None:
    relu = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), relu, nn.Conv2d(4, 4, 3), relu, nn.Conv2d(4, 1, 1), nn.Flatten())
    assert find_target_layer(model, some_images()) == "2"


def test_where_all_layers_run_twice_a_call_is_named() -> None:
    """The one layer with a grid; `layer@1` is a target layer that can be configured."""
    twice = nn.Conv2d(3, 3, 3, padding=1)
    model = nn.Sequential(twice, twice, nn.Flatten(), nn.Linear(3 * 12 * 12, 2))
    with pytest.raises(TargetLayerError, match=r"\('0' runs several times and was passed over: .* is '0@1'\)$"):
        find_target_layer(model, torch.rand(2, 3, 12, 12))


def test_logits_that_are_integers_are_said_to_be() -> None:
    with pytest.raises(ModelError, match=r"the logits are integers \(int64\)$"):
        Outputs().logits(torch.zeros(2, 3, dtype=torch.int64), 2)


def test_looking_for_a_layer_leaves_no_hooks_and_no_mode_behind() -> None:
    model = a_cnn().train()
    find_target_layer(model, some_images())
    assert all(m.training and not m._forward_hooks for m in model.modules())
    assert all(p.requires_grad for p in model.parameters())


def test_a_model_without_spatial_layers_has_no_automatic_layer() -> None:
    with pytest.raises(TargetLayerError, match="no layer of the model has spatial output"):
        find_target_layer(nn.Sequential(nn.Flatten(), nn.Linear(576, 2)), some_images())
