"""At one go, for tests and benchmarks: what the product does shard by shard."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.confusion_matrix import ConfusionMatrix
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.progress import Progress, no_progress
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import Sample, drawn_indices
from case_monitor.domain.scores import SampleScores
from case_monitor.judging.confusion import ConfusionCounter
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.explain import Explainer, join_explained
from case_monitor.measuring.explained import Explained
from case_monitor.measuring.held_model import HeldModel
from case_monitor.measuring.image_source import ImageSource
from case_monitor.measuring.predict import require_logits
from case_monitor.measuring.workers.shards import cut


def predict(
    logits: Callable[[Tensor], Tensor],
    source: ImageSource,
    *,
    num_classes: int,
    batch_size: int,
    progress: Progress = no_progress,
    stage: str = "predict",
) -> Predictions:
    """Logits for every image of the source."""
    total, parts, seen = len(source.sample_ids), [], 0
    for images in source.batches(range(total), batch_size):
        with torch.no_grad():
            parts.append(logits(images).float().numpy())
        require_logits(parts[-1], num_classes)
        seen += len(images)
        progress(stage, seen, total)
    return Predictions(sample_ids=source.sample_ids, logits=np.concatenate(parts), target=source.target)


def confusion_matrix(preds: Predictions, num_classes: int) -> ConfusionMatrix:
    """Of all predictions together."""
    counter = ConfusionCounter(num_classes)
    counter.add(preds)
    return counter.matrix()


def sample_indices(preds: Predictions, sample_size: int, seed: int) -> IntArray:
    """Where the images are that are explained."""
    drawn = drawn_indices(len(preds.target), sample_size, seed)
    return Sample.of(drawn, _taken(preds, drawn)).indices


def explainer(
    model: nn.Module,
    layer: str,
    contrast: Mapping[int, Mapping[int, float]],
    source: ImageSource,
    protocol: Protocol,
    batch_size: int,
    device: str = "cpu",
    shown: str | None = None,
) -> Explainer:
    """Of a model that this process holds."""
    held = HeldModel(model=model, protocol=protocol, device=device)
    conditions = Conditions(source=source, num_classes=1 + max([0, *contrast]), protocol=protocol, device=device)
    return Explainer(
        Explained(model=held, layer=layer, contrast=contrast), conditions, batch_size, shown or protocol.methods[0]
    )


def explain(
    model: nn.Module,
    layer: str,
    contrast: Mapping[int, Mapping[int, float]],
    source: ImageSource,
    preds: Predictions,
    protocol: Protocol,
    *,
    batch_size: int,
    shown: str | None = None,
    progress: Progress = no_progress,
) -> tuple[SampleScores, Gallery]:
    """Scores of the sampled images that `preds` has right, and a few of them with their maps."""
    drawn = drawn_indices(len(preds.target), protocol.sample_size, protocol.seed)
    sample = Sample.of(drawn, _taken(preds, drawn))
    total = len(sample.indices)
    shards = cut(total, total, batch_size)
    explaining = explainer(model, layer, contrast, source, protocol, batch_size, shown=shown)
    parts = explaining.explain(sample, shards, lambda done: progress("explain", done, total))
    return join_explained(parts, sample, protocol, shown or protocol.methods[0])


def _taken(preds: Predictions, places: IntArray) -> Predictions:
    ids = tuple(preds.sample_ids[i] for i in places)
    return Predictions(sample_ids=ids, logits=preds.logits[places], target=preds.target[places])
