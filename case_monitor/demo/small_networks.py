"""Four architectures, so small that one learns in seconds: reduced ResNet, VGG, DenseNet and ConvNeXt.

Of torchvision's own blocks. Each has the layer that the paper explains in its full-size relative, and the usual one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import ConvNeXt, DenseNet
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.resnet import BasicBlock

_NARROW, _WIDE = 16, 32


class SmallResNet(nn.Module):
    """Three residual blocks of two sizes, global average pooling, a linear head."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        halved = nn.Sequential(nn.Conv2d(_NARROW, _WIDE, 1, stride=2, bias=False), nn.BatchNorm2d(_WIDE))
        self.stem = nn.Sequential(*_conv(channels, _NARROW, stride=2))
        self.blocks = nn.Sequential(
            BasicBlock(_NARROW, _NARROW),
            BasicBlock(_NARROW, _WIDE, stride=2, downsample=halved),
            BasicBlock(_WIDE, _WIDE),
        )
        self.head = nn.Linear(_WIDE, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes) logits."""
        logits: Tensor = self.head(self.blocks(self.stem(images)).mean((2, 3)))
        return logits


class SmallVGG(nn.Module):
    """Convolutions and max-pooling, then a head of two linear layers, which sees where something is."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv(channels, _NARROW),
            nn.MaxPool2d(2),
            *_conv(_NARROW, _WIDE),
            nn.MaxPool2d(2),
            *_conv(_WIDE, 48),
            *_conv(48, 48),
            nn.MaxPool2d(2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(4)
        self.classifier = nn.Sequential(nn.Linear(48 * 16, 64), nn.ReLU(), nn.Dropout(0.3), nn.Linear(64, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, num_classes) logits."""
        logits: Tensor = self.classifier(self.avgpool(self.features(images)).flatten(1))
        return logits


def _conv(channels: int, out_channels: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(channels, out_channels, 3, stride=stride, padding=1)
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU()]


def _densenet(channels: int, num_classes: int) -> DenseNet:
    model: nn.Module = DenseNet(
        growth_rate=8, block_config=(4, 4), num_init_features=_NARROW, bn_size=2, num_classes=num_classes
    )
    features: Any = model.features
    features.conv0 = nn.Conv2d(channels, _NARROW, 3, stride=2, padding=1, bias=False)
    features.pool0 = nn.Identity()  # images are small as they are
    return model


def _convnext(channels: int, num_classes: int) -> ConvNeXt:
    model = ConvNeXt([CNBlockConfig(24, 48, 1), CNBlockConfig(48, None, 2)], num_classes=num_classes)
    model.features[0][0] = nn.Conv2d(channels, 24, 2, stride=2)
    for part in model.modules():  # its own first weights are for networks that are far deeper, and learn longer
        if hasattr(part, "layer_scale"):
            nn.init.ones_(part.layer_scale)
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.reset_parameters()
    return model


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallNetwork:
    """An architecture.

    Attributes:
        build: an untrained one of so many channels and classes.
        peak: the highest learning rate.
    """

    build: Callable[[int, int], nn.Module]
    peak: float = 6e-3


SMALL_NETWORKS = {
    "resnet": SmallNetwork(build=SmallResNet),
    "vgg": SmallNetwork(build=SmallVGG, peak=4e-3),
    "densenet": SmallNetwork(build=_densenet),
    "convnext": SmallNetwork(build=_convnext),
}


def untrained(name: str, channels: int, num_classes: int, seed: int) -> nn.Module:
    """One with seeded weights."""
    torch.manual_seed(seed)
    return SMALL_NETWORKS[name].build(channels, num_classes).eval()
