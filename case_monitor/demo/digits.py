"""scikit-learn's handwritten digits (1797 scans, 8 x 8) as 32 x 32 images, split for training and validation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 32
MEAN, STD = (0.3,), (0.35,)
CLASS_NAMES = tuple("zero one two three four five six seven eight nine".split())  # noqa: SIM905 - reads better
_VALIDATION = 700


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Digits:
    """Images (N, 32, 32) uint8 and labels (N,) of both splits."""

    train_images: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.int64]
    val_images: npt.NDArray[np.uint8]
    val_labels: npt.NDArray[np.int64]


def load_digits() -> Digits:
    """The data set in a fixed, seeded order."""
    from sklearn.datasets import load_digits as sklearn_digits  # only the demo needs scikit-learn

    bunch = sklearn_digits()
    small = torch.from_numpy(bunch.images / 16.0).float()[:, None]
    large = F.interpolate(small, size=(SIDE, SIDE), mode="bilinear", align_corners=False).squeeze(1)
    images = (large * 255).round().to(torch.uint8).numpy()
    order = np.random.default_rng(0).permutation(len(images))
    images, labels = images[order], bunch.target[order].astype(np.int64)
    return Digits(
        train_images=images[_VALIDATION:],
        train_labels=labels[_VALIDATION:],
        val_images=images[:_VALIDATION],
        val_labels=labels[:_VALIDATION],
    )


def train(model: nn.Module, digits: Digits, *, epochs: int, seed: int) -> nn.Module:
    """Train with Adam and small shifts; seeded, so that the same call gives the same weights on the same machine."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.from_numpy(digits.train_images)[:, None].float() / 255
    images = (images - MEAN[0]) / STD[0]
    labels = torch.from_numpy(digits.train_labels)
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 6e-3, epochs * (len(images) // 64 + 1))
    model.train()
    for _ in range(epochs):
        for batch in torch.split(torch.randperm(len(images), generator=generator), 64):
            loss = F.cross_entropy(model(_shift(images[batch], generator)), labels[batch])
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    return model.eval()


def _shift(images: Tensor, generator: torch.Generator) -> Tensor:
    dy, dx = torch.randint(-2, 3, (2,), generator=generator).tolist()
    return torch.roll(images, (dy, dx), dims=(-2, -1))
