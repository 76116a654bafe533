"""The published methods against pytorch-grad-cam on the paper's architectures, and wherever the two differ, why.

Untrained models explain little: drops drown in rounding, and Score-CAM's weights are nearly the same for all channels.
So batch-norm statistics and the last Linear are fitted to a few images, such that logits vary from image to image, and
`assert_lively` refuses maps that a wrong class, or equal weights, would give as well.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from unittest import mock

import pytest
import torch
import torch.nn.functional as F
import torchvision
from pytorch_grad_cam.ablation_layer import AblationLayer, AblationLayerVit
from torch import Tensor, nn
from torchvision.models import VGG, SwinTransformer, VisionTransformer
from torchvision.models.vgg import cfgs, make_layers

from case_monitor.saliency import saliency_maps
from tests.support.peers import (
    GRADIENT,
    PEERS,
    PERTURBATION,
    TOLERANCE,
    VISIBLE,
    Zeroing,
    assert_lively,
    assert_same_maps,
    distance,
    distance_of_shapes,
    our_maps,
    their_activations,
    their_maps,
)

Network = Callable[[str, torch.dtype], nn.Module]
SMALL, LARGE = (32, 48), (64, 96)


def photos(batch: int, size: tuple[int, int], seed: int = 2) -> Tensor:
    """(B, 3, H, W) smooth blobs with some noise, so that masks over them matter."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(batch, 3, size[0] // 8, size[1] // 8, generator=generator)
    return 1.5 * F.interpolate(coarse, size, mode="bicubic") + 0.3 * torch.randn(batch, 3, *size, generator=generator)


def vgg19_bn(num_classes: int) -> nn.Module:
    """With 64 instead of 4096 hidden units, because 120 million weights take seconds to draw."""
    features = make_layers(cfgs["E"], batch_norm=True)
    with torch.device("meta"):
        model = VGG(features)
    model.classifier = nn.Sequential(nn.Linear(512 * 7 * 7, 64), nn.ReLU(inplace=True), nn.Linear(64, num_classes))
    return model


def vit(num_classes: int) -> nn.Module:
    return VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=64, num_classes=num_classes
    )


def swin(num_classes: int) -> nn.Module:
    return SwinTransformer(
        patch_size=[4, 4], embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=[4, 4], num_classes=num_classes
    )


BUILDERS: dict[str, tuple[Callable[..., nn.Module], tuple[int, int]]] = {
    "resnet18": (torchvision.models.resnet18, LARGE),
    "resnet50": (torchvision.models.resnet50, LARGE),
    "vgg19_bn": (vgg19_bn, (48, 64)),
    "densenet201": (torchvision.models.densenet201, LARGE),
    "convnext_tiny": (torchvision.models.convnext_tiny, LARGE),
    "vit": (vit, (32, 32)),
    "swin": (swin, SMALL),
}


@torch.no_grad()
def a_lively_network(name: str) -> nn.Module:
    """In evaluation mode, with 10 classes whose logits have mean 0 and deviation 1 over some images."""
    torch.manual_seed(0)
    build, size = BUILDERS[name]
    model, images = build(num_classes=10), photos(8, size, seed=1)
    for parameter_name, parameter in model.named_parameters():
        parameter.requires_grad_(False)
        if parameter_name.endswith("layer_scale"):  # ConvNeXt's 1e-6 would make blocks the identity
            parameter.fill_(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the statistics of all batches, of which there is one
    model.train()(images)
    model.eval()
    fit_the_last_linear(model, images)
    return model


def fit_the_last_linear(model: nn.Module, images: Tensor) -> None:
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    seen: list[Tensor] = []
    handle = linear.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(images)
    handle.remove()
    mean = seen[0].mean(0)
    weight = torch.randn_like(linear.weight)
    weight -= torch.outer(weight @ mean, mean) / (mean @ mean)
    linear.weight.copy_(weight / (seen[0] @ weight.T).std())
    linear.bias.zero_()


@pytest.fixture(scope="module")
def network() -> Network:
    """Builds each once; converting it between types loses nothing."""
    cached = functools.cache(a_lively_network)
    return lambda name, dtype: cached(name).to(dtype)


def top_2(model: nn.Module, images: Tensor) -> Tensor:
    """(B, 2), both with positive logits, where dividing by the logit and by its size are the same."""
    best = model(images).topk(2)
    assert (best.values > 0).all()
    return best.indices


def tail(*parts: nn.Module) -> nn.Module:
    """What stands behind a layer, as a model that takes the layer's output for its image."""
    return nn.Sequential(OrderedDict(layer=nn.Identity(), rest=nn.Sequential(*parts)))


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("resnet18", "layer3"),
        ("resnet18", "layer4"),
        ("resnet50", "layer4"),
        ("vgg19_bn", "features.51"),
        ("densenet201", "features.transition3.relu"),
        ("convnext_tiny", "features.7"),
    ],
)
@pytest.mark.parametrize("method", GRADIENT)
def test_gradient_methods_equal_theirs(method: str, name: str, layer: str, network: Network) -> None:
    model, images = network(name, torch.float32), photos(2, BUILDERS[name][1])
    assert_same_maps(method, model, layer, images, top_2(model, images))


PAPERS_LAYERS = [
    ("resnet50", "layer4.2.conv3", torch.float32),
    # In double precision: where A is negative Grad-CAM++ may divide by nearly 0, and then rounding exceeds 1e-4.
    ("vgg19_bn", "features.49", torch.float64),
    ("densenet201", "features.denseblock4.denselayer32.conv2", torch.float32),
    ("convnext_tiny", "features.7.2.block.0", torch.float32),
]
# In front of a LayerNorm, which does not feel the scale of its input, HiResCAM is 0 but for the norm's epsilon.
ALWAYS_ZERO = ("hirescam", "convnext_tiny")


@pytest.mark.parametrize(
    ("method", "name", "layer", "dtype"),
    [(method, *case) for case in PAPERS_LAYERS for method in GRADIENT if (method, case[0]) != ALWAYS_ZERO],
    ids=str,
)
def test_gradient_methods_equal_theirs_at_the_papers_layers(
    method: str, name: str, layer: str, dtype: torch.dtype, network: Network
) -> None:
    model, images = network(name, dtype), photos(2, BUILDERS[name][1]).to(dtype)
    assert_same_maps(method, model, layer, images, top_2(model, images))


@pytest.mark.parametrize(
    ("name", "layer", "dtype"),
    [
        ("resnet18", "layer1", torch.float64),
        ("resnet18", "layer1", torch.float32),
        ("resnet50", "maxpool", torch.float32),
        ("vgg19_bn", "features.6", torch.float32),
        ("densenet201", "features.denseblock3.denselayer2.relu2", torch.float64),
    ],
    ids=str,
)
@pytest.mark.parametrize("method", PERTURBATION)
def test_perturbation_methods_equal_theirs_behind_a_relu(
    method: str, name: str, layer: str, dtype: torch.dtype, network: Network
) -> None:
    model, images = network(name, dtype), photos(1, SMALL).to(dtype)
    assert_same_maps(method, model, layer, images, top_2(model, images))


def test_asked_for_together_methods_equal_theirs(network: Network) -> None:
    model, images = network("resnet18", torch.float32), photos(1, SMALL)
    targets = top_2(model, images)
    ours = saliency_maps(model, images, targets, target_layer="layer1", methods=tuple(PEERS), size="layer")
    for method, maps in ours.items():
        assert distance(maps.numpy(), their_maps(method, model, "layer1", images, targets)).max() <= TOLERANCE


def test_score_cam_equals_theirs_on_convnext(network: Network) -> None:
    model, images = network("convnext_tiny", torch.float32), photos(1, SMALL)
    assert_same_maps("scorecam", model, "features.1", images, top_2(model, images))


@pytest.mark.parametrize("name", ["resnet18", "resnet50", "vgg19_bn"])
def test_ablation_cam_of_the_last_layer_equals_theirs_on_what_stands_behind_it(name: str, network: Network) -> None:
    """Where our shortcut replaces hundreds of passes; theirs are affordable without the part in front of the layer."""
    model, images = network(name, torch.float64), photos(1, BUILDERS[name][1]).double()
    if name == "vgg19_bn":
        layer, parts = "features.51", [model.features[52], model.avgpool, nn.Flatten(), model.classifier]
    else:
        layer, parts = "layer4", [model.avgpool, nn.Flatten(), model.fc]
    behind, activations = tail(*parts), their_activations(model, layer, images)
    targets = top_2(model, images)
    theirs = their_maps("ablationcam", behind, "layer", activations, targets)
    assert_lively(theirs)
    assert distance(our_maps("ablationcam", model, layer, images, targets), theirs).max() <= TOLERANCE


@pytest.mark.parametrize(
    ("name", "layer", "dtype"),
    [
        ("convnext_tiny", "features.1", torch.float32),
        # 32 of the 1920 channels of the last Linear's input, which the shortcut must not take for all of them.
        ("densenet201", "features.denseblock3.denselayer2.conv2", torch.float64),
    ],
    ids=str,
)
def test_where_no_relu_is_near_ablation_cam_differs_by_what_is_written_to_the_channel_and_nothing_else(
    name: str, layer: str, dtype: torch.dtype, network: Network
) -> None:
    model, images = network(name, dtype), photos(1, SMALL).to(dtype)
    targets = top_2(model, images)
    assert their_activations(model, layer, images).min() < 0
    assert_same_maps("ablationcam", model, layer, images, targets, ablation_layer=Zeroing())
    ours = our_maps("ablationcam", model, layer, images, targets)
    stock = their_maps("ablationcam", model, layer, images, targets[:, :1], ablation_layer=AblationLayer())
    assert (distance_of_shapes(stock, ours[:, :1]) > VISIBLE).all()


def test_where_the_logit_is_negative_ablation_cam_is_theirs_upside_down_and_nothing_else(network: Network) -> None:
    """A bias that turns s into |s| changes no drop, so it makes theirs the same as ours without it."""
    model, images = network("resnet18", torch.float32), photos(1, SMALL)
    least = model(images).argmin(1, keepdim=True)
    score = model(images)[0, least]
    assert score < 0
    ours = our_maps("ablationcam", model, "layer1", images, least)
    assert not (ours * their_maps("ablationcam", model, "layer1", images, least)).any()
    with mock.patch.object(model.fc, "bias", nn.Parameter(-2 * score * F.one_hot(least[0, 0], 10))):
        theirs = their_maps("ablationcam", model, "layer1", images, least)
    assert_lively(theirs)
    assert distance(ours, theirs).max() <= TOLERANCE


def test_score_cam_masks_that_are_resized_in_another_way_would_be_seen(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, images = network("resnet18", torch.float32), photos(1, SMALL)
    targets = top_2(model, images)
    monkeypatch.setattr(nn, "UpsamplingBilinear2d", lambda size: nn.Upsample(size=size, mode="bilinear"))
    other = their_maps("scorecam", model, "layer1", images, targets)
    assert (distance(our_maps("scorecam", model, "layer1", images, targets), other) > VISIBLE).all()


@contextmanager
def a_copy_behind(model: nn.Module, layer: str) -> Iterator[str]:
    """Nothing can change the layer's output in place; yields the layer's name meanwhile."""
    parent, _, child = layer.rpartition(".")
    module = model.get_submodule(layer)
    copy = nn.Identity()
    copy.register_forward_hook(lambda _module, _args, output: output.clone())
    setattr(model.get_submodule(parent), child, nn.Sequential(module, copy))
    try:
        yield f"{layer}.0"
    finally:
        setattr(model.get_submodule(parent), child, module)


@pytest.mark.parametrize(
    ("method", "name", "layer"),
    [(method, "vgg19_bn", "features.50") for method in GRADIENT]
    + [(method, "densenet201", "features.norm5") for method in GRADIENT]
    + [(method, "resnet18", "layer4.1.bn2") for method in GRADIENT]
    + [(method, "resnet18", "bn1") for method in PERTURBATION],
)
def test_where_an_output_is_changed_in_place_theirs_equal_ours_once_it_is_copied(
    method: str, name: str, layer: str, network: Network
) -> None:
    model, images = network(name, torch.float32), photos(1, SMALL if method in PERTURBATION else BUILDERS[name][1])
    targets = top_2(model, images)
    ours = our_maps(method, model, layer, images, targets)
    in_place = their_maps(method, model, layer, images, targets)
    with a_copy_behind(model, layer) as inner:
        copied = their_maps(method, model, inner, images, targets)
    assert_lively(copied)
    assert distance(ours, copied).max() <= TOLERANCE
    if method in {"layercam", "hirescam"} and layer != "layer4.1.bn2":  # what a ReLU clips has no gradient
        assert distance(in_place, copied).max() <= TOLERANCE
    else:
        assert distance(in_place, copied).min() > VISIBLE


@pytest.mark.parametrize(
    ("name", "layer", "block"),
    [
        ("vgg19_bn", "features.50", None),
        ("densenet201", "features.norm5", None),
        ("resnet18", "bn1", None),
        ("resnet18", "layer4.1.bn2", "layer4.1"),
    ],
)
def test_what_they_take_for_an_output_changed_in_place_is_what_became_of_it(
    name: str, layer: str, block: str | None, network: Network
) -> None:
    """The ReLU of it; at the end of a ResNet's block the ReLU of its sum with the residual: the block's output."""
    model, images = network(name, torch.float32), photos(1, BUILDERS[name][1])
    with a_copy_behind(model, layer) as inner:
        before = their_activations(model, inner, images)
    after = their_activations(model, layer, images)
    assert (before < 0).any()
    assert torch.equal(after, before.relu() if block is None else their_activations(model, block, images))


def vit_grid(tokens: Tensor) -> Tensor:
    """As in pytorch-grad-cam's documentation, for 4 x 4 patches."""
    return tokens[:, 1:].reshape(len(tokens), 4, 4, -1).transpose(2, 3).transpose(1, 2)


def swin_grid(output: Tensor) -> Tensor:
    return output.permute(0, 3, 1, 2)


TOKENS = pytest.mark.parametrize(
    ("name", "layer", "reshape", "channel_dim"),
    [
        ("vit", "encoder.layers.encoder_layer_0", vit_grid, 2),
        ("vit", "encoder.layers.encoder_layer_1.ln_1", vit_grid, 2),
        ("swin", "features.1", swin_grid, 3),
        ("swin", "features.3.1.norm1", swin_grid, 3),
    ],
)
Reshape = Callable[[Tensor], Tensor]


@TOKENS
@pytest.mark.parametrize("method", PEERS)
def test_of_tokens_and_channels_last_equals_theirs_with_a_reshape_transform(
    method: str, name: str, layer: str, reshape: Reshape, channel_dim: int, network: Network
) -> None:
    model, images = network(name, torch.float64), photos(2, BUILDERS[name][1]).double()
    options = {"ablation_layer": Zeroing(channel_dim)} if method == "ablationcam" else {}
    assert_same_maps(method, model, layer, images, top_2(model, images), reshape_transform=reshape, **options)


@TOKENS
def test_of_tokens_ablation_cam_differs_by_what_is_written_to_the_channel(
    name: str, layer: str, reshape: Reshape, channel_dim: int, network: Network
) -> None:
    model, images = network(name, torch.float64), photos(2, BUILDERS[name][1]).double()
    targets = top_2(model, images)
    stock = their_maps(
        "ablationcam", model, layer, images, targets, reshape_transform=reshape, ablation_layer=AblationLayerVit()
    )
    assert (distance(our_maps("ablationcam", model, layer, images, targets), stock) > VISIBLE).all()
