"""Networks that do no harm. What is imported here is imported in each of their processes."""

import torch
from torch import Tensor, nn


class Network(nn.Module):
    def __init__(self, bias: float = 0) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(1, 6, 3)
        self.head = nn.Linear(6, 3)
        nn.init.constant_(self.head.bias, bias)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.conv(images).relu().mean((2, 3)))
        return logits


class FailsAtTheThird(Network):
    calls = 0

    def forward(self, images: Tensor) -> Tensor:
        if images.flatten()[0] == 3:
            raise ValueError("three")
        return super().forward(images)


class Good(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 1)
        nn.init.ones_(self.conv.weight)
        nn.init.zeros_(self.conv.bias)

    def forward(self, images: Tensor) -> Tensor:
        return self.conv(images).mean((2, 3))
