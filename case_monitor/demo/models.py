"""The three classifiers of the demo: two plain CNNs, and one whose evidence sits in one place for every class."""

import torch
from torch import Tensor, nn


def _block(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [nn.Conv2d(in_channels, out_channels, 3, padding=1), nn.BatchNorm2d(out_channels), nn.ReLU()]


class PlainCNN(nn.Module):
    """Convolutions, global average pooling, a linear head: every class can find its evidence where it likes."""

    def __init__(self, width: int, num_classes: int = 10) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_block(1, width),
            nn.MaxPool2d(2),
            *_block(width, 2 * width),
            nn.MaxPool2d(2),
            *_block(2 * width, 2 * width),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(2 * width, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, num_classes) logits."""
        logits: Tensor = self.head(self.pool(self.features(images)).flatten(1))
        return logits


class SpatialAttention(nn.Module):
    """Multiplies features by one spatial-softmax map that all channels, and so all classes, share."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, K, h, w) -> (B, K, h, w)."""
        scores = self.score(features)
        attention = torch.softmax(scores.flatten(2), dim=-1).view_as(scores)
        weighted: Tensor = features * attention * scores[0].numel()
        return weighted


class AttentionCNN(PlainCNN):
    """A plain CNN with shared attention before pooling: as accurate, but its maps cannot differ by class."""

    def __init__(self, width: int, num_classes: int = 10) -> None:
        super().__init__(width, num_classes)
        self.attention = SpatialAttention(2 * width)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, H, W) -> (B, num_classes) logits."""
        logits: Tensor = self.head(self.pool(self.attention(self.features(images))).flatten(1))
        return logits
