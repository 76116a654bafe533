"""What the product does with a version on a device: its own work, on images in memory or in a folder."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor, nn

from benchmarks.gpu_networks import random_classes
from case_monitor.domain.arrays import IntArray
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import Sample
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.explain import Explain, ExplainedPart
from case_monitor.measuring.explained import Explained
from case_monitor.measuring.held_model import HeldModel
from case_monitor.measuring.image_source import ImageSource
from case_monitor.measuring.measured_model import MeasuredModel
from case_monitor.measuring.predict import Predict
from case_monitor.measuring.workers.shards import cut

WITHOUT_SCORECAM = ("case", "gradcam", "gradcam++", "ablationcam", "layercam")
SUITE = Protocol().methods
_CONTRAST_K = Protocol().contrast_k


class InMemory:
    """An `ImageSource` of tensors, where reading costs next to nothing."""

    excluded = None

    def __init__(self, images: Tensor) -> None:
        self._images = images
        self.sample_ids = tuple(f"image {i}" for i in range(len(images)))
        self.target = np.zeros(len(images), dtype=np.int64)

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        for start in range(0, len(indices), batch_size):
            yield self._images[list(indices[start : start + batch_size])]

    def to_display(self, images: Tensor) -> np.ndarray:
        grey = images[:, :1].clamp(0, 1).mul(255).byte()
        return grey.expand(-1, 3, -1, -1).permute(0, 2, 3, 1).numpy()


class Repeated:
    """An `ImageSource` that reads the images of another over and over."""

    excluded = None

    def __init__(self, source: ImageSource, size: int) -> None:
        self._source, self._own = source, len(source.sample_ids)
        self.sample_ids = tuple(f"image {i}" for i in range(size))
        self.target = np.zeros(size, dtype=np.int64)

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        return self._source.batches([i % self._own for i in indices], batch_size)

    def to_display(self, images: Tensor) -> np.ndarray:
        return self._source.to_display(images)


class Product:
    """A network with images, and the product's work on them."""

    def __init__(self, model: nn.Module, layer: str, source: ImageSource, device: str, num_classes: int) -> None:
        self._model, self._layer = model, layer
        self._conditions = Conditions(source=source, num_classes=num_classes, protocol=Protocol(), device=device)

    def predictions(self, count: int, batch: int, report: Callable[[int], None] = lambda _: None) -> Predictions:
        """Of the first `count` images, with the predicted classes as the true ones."""
        work = Predict(
            conditions=self._conditions, model=self._measured(self._conditions), layer=self._layer, batch_size=batch
        )
        parts = list(work.run(cut(count, count, batch), report))
        logits = np.concatenate([part.logits for part in parts])
        ids = self._conditions.source.sample_ids[:count]
        return Predictions(sample_ids=ids, logits=logits, target=logits.argmax(1))

    def explain(
        self,
        sample: Sample,
        methods: Sequence[str],
        batch: int,
        report: Callable[[int], None] = lambda _: None,
        *,
        amp: bool = False,
    ) -> list[ExplainedPart]:
        """Maps, agreement and fidelity of a sample, as an evaluation has them."""
        conditions = replace(self._conditions, protocol=Protocol(methods=tuple(methods), amp=amp))
        contrast = _contrasts(conditions.num_classes)
        explained = Explained(model=self._measured(conditions), layer=self._layer, contrast=contrast)
        work = Explain(conditions=conditions, explained=explained, sample=sample, batch_size=batch, shown=methods[0])
        return list(work.run(cut(len(sample.indices), len(sample.indices), batch), report))

    def _measured(self, conditions: Conditions) -> MeasuredModel:
        return HeldModel(model=self._model, protocol=conditions.protocol, device=conditions.device)


def drawn_sample(preds: Predictions) -> Sample:
    """All images, for two classes of each that are drawn at random."""
    first, second = random_classes(len(preds.target), preds.logits.shape[1])
    return Sample(indices=np.arange(len(first)), preds=replace(preds, target=first), top2=second)


def best_sample(preds: Predictions, top1: IntArray) -> Sample:
    """All images, for their two most probable classes."""
    return Sample.of(np.arange(len(top1)), replace(preds, target=top1))


def _contrasts(num_classes: int) -> dict[int, dict[int, float]]:
    """A contrast set for every class, as an evaluation has them."""
    near = range(1, min(_CONTRAST_K, num_classes - 1) + 1)
    return {u: {(u + j) % num_classes: 1 / j for j in near} for u in range(num_classes)}
