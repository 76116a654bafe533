"""Small models whose gradients are known, for the tests of saliency."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class PooledLinear(nn.Module):
    """The image is A itself and logits = W mean(A), so the gradient of class c is W[c] / (h * w) everywhere."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.layer = nn.Identity()
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> Tensor:
        return self.layer(images).mean((-2, -1)) @ self.weight.T


class SmallCNN(nn.Module):
    """Two convolutions and a two-layer head, so that gradients differ from place to place."""

    def __init__(self, num_classes: int = 5, *, inplace: bool = False, pooled: bool = False) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1)
        )
        self.relu = nn.ReLU(inplace=inplace)
        self.pool: nn.Module = nn.AdaptiveAvgPool2d(1) if pooled else nn.MaxPool2d(2)
        self.head = nn.LazyLinear(num_classes)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.pool(self.relu(self.features(images))).flatten(1))
        return logits


class Ending(nn.Module):
    """A network whose logits go through something."""

    def __init__(self, net: nn.Module, ending: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net, self.ending = net, ending

    def forward(self, images: Tensor) -> Tensor:
        return self.ending(self.net(images))


def a_cnn(seed: int = 0, num_classes: int = 5, *, inplace: bool = False, pooled: bool = False) -> SmallCNN:
    """A seeded `SmallCNN` in evaluation mode, for images (B, 3, 12, 16)."""
    torch.manual_seed(seed)
    model = SmallCNN(num_classes, inplace=inplace, pooled=pooled)
    model(some_images())
    return model.eval()


def some_images(batch: int = 2, seed: int = 1) -> Tensor:
    """(B, 3, 12, 16) images, not square."""
    return torch.randn(batch, 3, 12, 16, generator=torch.Generator().manual_seed(seed))


def some_activations(batch: int, channels: int, seed: int = 0) -> Tensor:
    """(B, K, 3, 4) non-negative activations."""
    return torch.rand(batch, channels, 3, 4, generator=torch.Generator().manual_seed(seed))
