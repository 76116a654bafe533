"""scikit-learn's handwritten digits (1797 scans, 8 x 8) as 32 x 32 images, split for training and validation."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from case_monitor.demo import training

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
    """Train on the digits; seeded."""
    images = torch.from_numpy(digits.train_images)[:, None].float() / 255
    labels = torch.from_numpy(digits.train_labels)
    return training.train(model, (images - MEAN[0]) / STD[0], labels, epochs=epochs, seed=seed, peak=6e-3)
