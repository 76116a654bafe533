"""Small networks, trained on the spot, and the images that they are judged by."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from case_monitor.demo import digits, shapes
from case_monitor.demo.small_networks import SMALL_NETWORKS, untrained
from case_monitor.demo.training import train
from case_monitor.domain.errors import ConfigError
from case_monitor.settings import Preprocessing

_TRAINING_SHAPES, _VALIDATION_SHAPES = 3000, 700


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SmallData:
    """Images (N, H, W) or (N, H, W, 3) uint8 and labels (N,) of both splits."""

    train_images: npt.NDArray[np.uint8]
    train_labels: npt.NDArray[np.int64]
    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    class_names: tuple[str, ...]
    preprocessing: Preprocessing
    epochs: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image that is prepared."""
        channels = self.images.shape[3] if self.images.ndim == 4 else 1
        return channels, *self.images.shape[1:3]

    def save_validation(self, file: Path) -> None:
        """Write the split that networks are judged by; a file that is there stays, since its bytes are its identity.

        Raises:
            ConfigError: what is there holds other images.
        """
        if file.exists():
            self._require_held(file)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(".partial.npz")
        np.savez_compressed(partial, images=self.images, labels=self.labels, class_names=np.array(self.class_names))
        partial.replace(file)

    def _require_held(self, file: Path) -> None:
        try:
            with np.load(file) as there:
                same = all(np.array_equal(there[name], getattr(self, name)) for name in ("images", "labels"))
        except (OSError, ValueError, KeyError, BadZipFile):
            same = False
        if not same:
            raise ConfigError(f"{file}: the images of this study were expected, others came; take another --directory")


def _digits() -> SmallData:
    data = digits.load_digits()
    return SmallData(
        train_images=data.train_images,
        train_labels=data.train_labels,
        images=data.val_images,
        labels=data.val_labels,
        class_names=digits.CLASS_NAMES,
        preprocessing=Preprocessing(mean=digits.MEAN, std=digits.STD),
        epochs=8,
    )


def _shapes() -> SmallData:
    trained, judged = shapes.draw_shapes(_TRAINING_SHAPES, seed=0), shapes.draw_shapes(_VALIDATION_SHAPES, seed=1)
    return SmallData(
        train_images=trained.images,
        train_labels=trained.labels,
        images=judged.images,
        labels=judged.labels,
        class_names=shapes.CLASS_NAMES,
        preprocessing=Preprocessing(mean=shapes.MEAN, std=shapes.STD),
        epochs=8,
    )


SMALL_DATA: dict[str, Callable[[], SmallData]] = {"digits": _digits, "shapes": _shapes}


def trained(architecture: str, data: SmallData, seed: int) -> nn.Module:
    """A small network that has learned; seeded."""
    model = untrained(architecture, data.shape[0], len(data.class_names), seed).to(memory_format=torch.channels_last)
    train(
        model,
        prepared(data.train_images, data.preprocessing),
        torch.from_numpy(data.train_labels),
        epochs=data.epochs,
        seed=seed,
        peak=SMALL_NETWORKS[architecture].peak,
        batch_size=32,
    )
    return model.to(memory_format=torch.contiguous_format)


def prepared(images: npt.NDArray[np.uint8], preprocessing: Preprocessing) -> Tensor:
    """(N, H, W) or (N, H, W, C) uint8 -> (N, C, H, W), as the preprocessing that is logged makes them."""
    scaled = torch.from_numpy(images).float() / 255
    scaled = scaled.permute(0, 3, 1, 2) if scaled.ndim == 4 else scaled[:, None]
    mean, std = (torch.tensor(values)[:, None, None] for values in (preprocessing.mean, preprocessing.std))
    return ((scaled - mean) / std).contiguous(memory_format=torch.channels_last)
