"""Small networks of four architectures, and how they learn."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import ConvNeXt, VisionTransformer
from torchvision.models.convnext import CNBlockConfig
from torchvision.models.resnet import BasicBlock

from benchmarks.calibration.images import ImageSet, Labelled
from case_monitor.demo.models import AttentionCNN, PlainCNN

_WIDTH, _TOKEN, _BATCH, _SHIFT = 16, 32, 32, 2


class SmallResNet(nn.Module):
    """Three residual blocks of two sizes, global average pooling, a linear head."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        narrow, wide = _WIDTH, 2 * _WIDTH
        halved = nn.Sequential(nn.Conv2d(narrow, wide, 1, stride=2, bias=False), nn.BatchNorm2d(wide))
        self.stem = nn.Sequential(nn.Conv2d(1, narrow, 3, stride=2, padding=1), nn.BatchNorm2d(narrow), nn.ReLU())
        self.blocks = nn.Sequential(
            BasicBlock(narrow, narrow), BasicBlock(narrow, wide, stride=2, downsample=halved), BasicBlock(wide, wide)
        )
        self.head = nn.Linear(wide, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, num_classes) logits."""
        logits: Tensor = self.head(self.blocks(self.stem(images)).mean((2, 3)))
        return logits


def _convnext(images: ImageSet) -> nn.Module:
    model = ConvNeXt([CNBlockConfig(24, 48, 1), CNBlockConfig(48, None, 2)], num_classes=images.num_classes)
    model.features[0][0] = nn.Conv2d(1, 24, 2, stride=2)
    for block in model.modules():
        if hasattr(block, "layer_scale"):
            nn.init.ones_(block.layer_scale)  # for networks as shallow as this; 1e-6 is for very deep ones
    return model


def _vit(images: ImageSet) -> nn.Module:
    patch = images.side // 8
    model = VisionTransformer(
        image_size=images.side,
        patch_size=patch,
        num_layers=3,
        num_heads=4,
        hidden_dim=_TOKEN,
        mlp_dim=2 * _TOKEN,
        num_classes=images.num_classes,
    )
    model.conv_proj = nn.Conv2d(1, _TOKEN, patch, stride=patch)
    return model


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A kind of network.

    Attributes:
        build: an untrained one.
        head: the dotted name of its last layer.
        peak: the highest learning rate.
        longer: how many times the epochs of a CNN it needs.
    """

    build: Callable[[ImageSet], nn.Module]
    head: str = "head"
    peak: float = 6e-3
    longer: float = 1.0


ARCHITECTURES = {
    "plain CNN": Architecture(build=lambda images: PlainCNN(_WIDTH, images.num_classes)),
    "shared attention": Architecture(build=lambda images: AttentionCNN(_WIDTH, images.num_classes)),
    "ResNet": Architecture(build=lambda images: SmallResNet(images.num_classes)),
    "ConvNeXt": Architecture(build=_convnext, head="classifier.2", peak=3e-3),
    "ViT": Architecture(build=_vit, head="heads.head", peak=2e-3, longer=1.5),
}


def untrained(architecture: str, images: ImageSet, seed: int) -> nn.Module:
    """A network with seeded weights."""
    torch.manual_seed(seed)
    return ARCHITECTURES[architecture].build(images).eval()


def train(model: nn.Module, data: Labelled, *, peak: float, steps: int, shifted: bool, seed: int) -> nn.Module:
    """Train with Adam and one cycle of the learning rate; seeded."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(model.parameters(), lr=peak)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, peak, steps + 1)
    model.train().to(memory_format=torch.channels_last)  # half as long again without
    order = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        if len(order) < _BATCH:
            order = torch.randperm(len(data.target), generator=generator)
        batch, order = order[:_BATCH], order[_BATCH:]
        images = data.images[batch]
        if shifted:
            by = torch.randint(-_SHIFT, _SHIFT + 1, (2,), generator=generator).tolist()
            images = torch.roll(images, by, dims=(-2, -1))
        loss = F.cross_entropy(model(images.contiguous(memory_format=torch.channels_last)), data.target[batch])
        optimiser.zero_grad()
        torch.autograd.backward(loss)
        optimiser.step()
        schedule.step()
    return model.eval().to(memory_format=torch.contiguous_format)
