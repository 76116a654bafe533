"""Image sources in memory, for the tests of everything that reads a split."""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.split import Split


class TensorSource:
    """Images and targets held in memory."""

    def __init__(
        self, images: Tensor, target: Sequence[int] | IntArray, excluded: Sequence[Sequence[bool]] | None = None
    ) -> None:
        self.images, self.target = images, np.asarray(target, dtype=np.int64)
        self.excluded = None if excluded is None else np.asarray(excluded, dtype=bool)
        self.sample_ids = tuple(f"image-{i:04d}" for i in range(len(images)))
        self.marks: Tensor | None = None

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        indices = list(indices)
        for start in range(0, len(indices), batch_size):
            yield self.images[indices[start : start + batch_size]]

    def objects(self, indices: Sequence[int]) -> Tensor | None:
        return None if self.marks is None else self.marks[list(indices)]

    def to_display(self, images: Tensor) -> np.ndarray:
        grey = images.mean(1, keepdim=True).clamp(0, 1).mul(255).byte()
        return grey.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()


def a_split(num_classes: int, size: int) -> Split:
    return Split(name="val", digest="5" * 64, class_names=tuple(f"class {u}" for u in range(num_classes)), size=size)


def blobs(n: int, classes: Sequence[int], *, noise: float = 0.3, seed: int = 0) -> TensorSource:
    """(1, 20, 24) images with a bright 5 x 5 blob whose place tells the class: classes lie 5 columns apart."""
    rng = torch.Generator().manual_seed(seed)
    images = noise * torch.randn(n, 1, 20, 24, generator=rng)
    target = [classes[i % len(classes)] for i in range(n)]
    marks = torch.zeros(n, 20, 24, dtype=torch.bool)
    for image, mark, u in zip(images, marks, target, strict=True):
        row = int(torch.randint(0, 15, (1,), generator=rng))
        image[0, row : row + 5, 5 * u : 5 * u + 5] += 1
        mark[row : row + 5, 5 * u : 5 * u + 5] = True
    source = TensorSource(images, target)
    source.marks = marks
    return source


class BlobNet(nn.Module):
    """Knows the answer: smooths, then sums the columns of each class; evidence differs by class by construction."""

    def __init__(self, num_classes: int, *, gain: float = 0.3) -> None:
        super().__init__()
        self.smooth = nn.Conv2d(1, num_classes, 3, padding=1, bias=False)
        self.relu = nn.ReLU()
        columns = torch.zeros(num_classes, 1, 24)
        for u in range(num_classes):
            columns[u, :, 5 * u : 5 * u + 5] = 1
        self.register_buffer("columns", columns)
        self.gain = gain
        nn.init.constant_(self.smooth.weight, 1 / 9)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, 20, 24) -> (B, num_classes) logits."""
        masked: Tensor = self.relu(self.smooth(images)) * self.columns
        return self.gain * masked.sum((-2, -1))


class ChannelBlobNet(BlobNet):
    """The same answer, with a channel for each class that is dark outside of the class's columns."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, 20, 24) -> (B, num_classes) logits."""
        seen: Tensor = self.relu(self.smooth(images) * self.columns)
        return self.gain * seen.sum((-2, -1))


def predictions(logits: object, target: object) -> Predictions:
    array = np.asarray(logits, dtype=np.float32)
    ids = tuple(f"image-{i:04d}" for i in range(len(array)))
    return Predictions(sample_ids=ids, logits=array, target=np.asarray(target, dtype=np.int64))
