"""The predictions of a whole split, put together from those of its shards."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from case_monitor.domain.arrays import BoolArray, FloatArray, IntArray
from case_monitor.domain.confusion_matrix import ConfusionMatrix
from case_monitor.domain.errors import ModelError
from case_monitor.domain.predictions import PredictedClasses, PredictedPart, Predictions
from case_monitor.domain.protocol import STRATIFIED, Protocol
from case_monitor.domain.sample import Sample, drawn_by_class, drawn_indices
from case_monitor.judging.confusion import ConfusionCounter
from case_monitor.judging.constant_answer import right_without_looking
from case_monitor.judging.label_counts import LabelCounter


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PredictedSplit:
    """What is kept of the predictions: little per image, and the logits of the images to explain.

    Attributes:
        classes: of every image.
        confmat: of the split.
        active_channels: (C,) mean number per class.
        sample: the images to explain.
        drawn: (n,) where the images are that it was drawn from.
        drawn_logits: (n, C) of them.
        constant: where images are of several classes, the share of those with finite logits that an answer without
            looking gets right.
    """

    classes: PredictedClasses
    confmat: ConfusionMatrix
    active_channels: FloatArray
    sample: Sample
    drawn: IntArray
    drawn_logits: npt.NDArray[np.float32]
    constant: float | None = None


def join_predicted(
    parts: Iterable[PredictedPart],
    sample_ids: tuple[str, ...],
    target: IntArray,
    num_classes: int,
    protocol: Protocol,
    excluded: BoolArray | None = None,
    labels: LabelCounter | None = None,
) -> PredictedSplit:
    """Take shards in the split's order, so that sums of probabilities do not depend on how it was cut.

    The logits of a shard are forgotten before the next one comes, but for the sample's.

    Args:
        parts: what the model says, shard after shard.
        sample_ids, target: (N,) names and classes of the images.
        num_classes: of the split.
        protocol: how many images to draw.
        excluded: (N, C) classes that an image is of, too.
        labels: counts what the model says yes to.

    Raises:
        ModelError: there are predictions of fewer images.
    """
    size = len(sample_ids)
    if protocol.sampling == STRATIFIED:
        drawn = drawn_by_class(target, protocol.sample_size, protocol.seed)
    else:
        drawn = drawn_indices(size, protocol.sample_size, protocol.seed)
    confusion = ConfusionCounter(num_classes)
    predicted = np.empty(size, dtype=np.int64)
    confidence = np.empty(size)
    active = np.empty(size, dtype=np.int64)
    kept = np.empty((len(drawn), num_classes), dtype=np.float32)
    total = np.zeros((1, num_classes))

    def of(logits: npt.NDArray[np.float32], places: IntArray | slice) -> Predictions:
        names = tuple(sample_ids[places] if isinstance(places, slice) else (sample_ids[i] for i in places))
        not_asked = None if excluded is None else excluded[places]
        return Predictions(sample_ids=names, logits=logits, target=target[places], excluded=not_asked)

    start = 0
    for part in parts:
        place = slice(start, start + len(part.logits))
        preds = of(part.logits, place)
        confusion.add(preds)
        finite = part.logits[preds.defined].astype(np.float64)
        np.add.at(total, np.zeros(len(finite), dtype=np.int64), finite)  # in the split's order, however it was cut
        if labels is not None:
            labels.add(preds)
        classes = predicted_classes(preds)
        predicted[place], confidence[place], active[place] = classes.preds, classes.confidence, part.active_channels
        inside = (drawn >= place.start) & (drawn < place.stop)
        kept[inside] = part.logits[drawn[inside] - start]
        start = place.stop
    if start != size:
        msg = f"predictions of {size} images were expected, those of {start} came"
        raise ModelError(msg)
    everything = PredictedClasses(sample_ids=sample_ids, target=target, preds=predicted, confidence=confidence)
    return PredictedSplit(
        classes=everything,
        confmat=confusion.matrix(),
        active_channels=mean_active_channels(active, everything, num_classes),
        sample=Sample.of(drawn, of(kept, drawn)),
        drawn=drawn,
        drawn_logits=kept,
        constant=None if excluded is None else _constant(everything, excluded, total[0]),
    )


def _constant(preds: PredictedClasses, excluded: BoolArray, total: FloatArray) -> float:
    """See `right_without_looking`; `total` (C,) are all logits, added up."""
    defined = preds.defined
    return right_without_looking(preds.target[defined], excluded[defined], total / max(int(defined.sum()), 1))


def predicted_classes(preds: Predictions) -> PredictedClasses:
    """What of the logits is kept for every image of a split."""
    with np.errstate(invalid="ignore"):  # infinite logits have no probabilities: NaN
        confidence = softmax(preds.asked.astype(np.float64), axis=1).max(axis=1)
    return PredictedClasses(
        sample_ids=preds.sample_ids, target=preds.target, preds=preds.preds, confidence=np.asarray(confidence)
    )


def mean_active_channels(counts: IntArray, preds: PredictedClasses | Predictions, num_classes: int) -> FloatArray:
    """(C,) mean number of active channels per class over correctly classified images; NaN where there are none."""
    correct = preds.preds == preds.target
    images = np.bincount(preds.target[correct], minlength=num_classes)
    total = np.bincount(preds.target[correct], weights=counts[correct], minlength=num_classes)
    mean = np.full(num_classes, np.nan)
    np.divide(total, images, out=mean, where=images > 0)
    return mean
