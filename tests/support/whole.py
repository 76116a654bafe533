"""At one go, for tests and benchmarks: what the product does shard by shard."""

from collections.abc import Callable

import numpy as np
from torch import Tensor

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.confusion_matrix import ConfusionMatrix
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.progress import Progress, no_progress
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import Sample, drawn_indices
from case_monitor.domain.scores import SampleScores
from case_monitor.judging.confusion import ConfusionCounter
from case_monitor.measuring.explain import Explainer, join_explained
from case_monitor.measuring.explained import Explained
from case_monitor.measuring.image_source import ImageSource
from case_monitor.measuring.predict import logits_of_batches
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
    for out in logits_of_batches(logits, source, range(total), num_classes, batch_size, "cpu"):
        parts.append(out)
        seen += len(out)
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


def explain(
    explained: Explained,
    source: ImageSource,
    preds: Predictions,
    protocol: Protocol,
    *,
    batch_size: int,
    progress: Progress = no_progress,
) -> tuple[SampleScores, Gallery]:
    """Scores of the sampled images that `preds` has right, and a few of them with their maps."""
    explainer = Explainer(explained, source, protocol, "cpu", batch_size)
    drawn = drawn_indices(len(preds.target), protocol.sample_size, protocol.seed)
    sample = Sample.of(drawn, _taken(preds, drawn))
    total = len(sample.indices)
    shards = cut(total, total, batch_size)
    parts = explainer.explain(sample, shards, lambda done: progress("explain", done, total))
    return join_explained(parts, sample, protocol)


def _taken(preds: Predictions, places: IntArray) -> Predictions:
    ids = tuple(preds.sample_ids[i] for i in places)
    return Predictions(sample_ids=ids, logits=preds.logits[places], target=preds.target[places])
