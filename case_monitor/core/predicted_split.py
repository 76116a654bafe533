"""The predictions of a whole split, put together from those of its shards."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from case_monitor.core.channels import mean_active_channels
from case_monitor.core.confusion import ConfusionCounter
from case_monitor.core.explanation import Sample, drawn_indices
from case_monitor.core.jobs import PredictedPart
from case_monitor.core.predictions import predicted_classes
from case_monitor.core.records import ConfusionMatrix, FloatArray, PredictedClasses, Predictions
from case_monitor.core.setup import Setup


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictedSplit:
    """What is kept of the predictions: little per image, and the logits of the images to explain.

    Attributes:
        classes: of every image.
        confmat: of the split.
        active_channels: (C,) mean number per class.
        sample: the images to explain.
    """

    classes: PredictedClasses
    confmat: ConfusionMatrix
    active_channels: FloatArray
    sample: Sample


def join_predicted(parts: Iterable[PredictedPart], setup: Setup) -> PredictedSplit:
    """Take shards in the split's order, so that sums of probabilities do not depend on how it was cut.

    The logits of a shard are forgotten before the next one comes, but for the sample's.
    """
    source, num_classes = setup.source, setup.split.num_classes
    size = len(source.sample_ids)
    drawn = drawn_indices(size, setup.protocol.sample_size, setup.protocol.seed)
    confusion = ConfusionCounter(num_classes)
    predicted = np.empty(size, dtype=np.int64)
    confidence = np.empty(size)
    active = np.empty(size, dtype=np.int64)
    kept = np.empty((len(drawn), num_classes), dtype=np.float32)
    start = 0
    for part in parts:
        place = slice(start, start + len(part.logits))
        preds = Predictions(sample_ids=source.sample_ids[place], logits=part.logits, target=source.target[place])
        confusion.add(preds)
        classes = predicted_classes(preds)
        predicted[place], confidence[place], active[place] = classes.preds, classes.confidence, part.active_channels
        inside = (drawn >= place.start) & (drawn < place.stop)
        kept[inside] = part.logits[drawn[inside] - start]
        start = place.stop
    everything = PredictedClasses(
        sample_ids=source.sample_ids, target=source.target, preds=predicted, confidence=confidence
    )
    of_drawn = Predictions(
        sample_ids=tuple(source.sample_ids[i] for i in drawn), logits=kept, target=source.target[drawn]
    )
    return PredictedSplit(
        classes=everything,
        confmat=confusion.matrix(),
        active_channels=mean_active_channels(active, everything, num_classes),
        sample=Sample.of(drawn, of_drawn),
    )
