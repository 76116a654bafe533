"""One version at one layer: what is measured, one step after the other, and what follows from it."""

from contextlib import closing
from dataclasses import dataclass

import numpy as np

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.methods import drift_methods
from case_monitor.domain.predictions import PredictedClasses
from case_monitor.domain.protocol import OF_CONFUSION, Protocol
from case_monitor.domain.scores import SampleScores
from case_monitor.judging.contrast_sets import contrast_sets_by, few_were_confused
from case_monitor.judging.figures.between_versions import Measured
from case_monitor.judging.label_counts import LabelCounter, label_counter, label_notes
from case_monitor.judging.measurer import LayerMeasurer, Subject
from case_monitor.judging.predicted_split import PredictedSplit, join_predicted
from case_monitor.judging.premises import SeenOutputs, order_notes


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What was found out about one version at one layer; `notes` are said with its verdict.

    `labels` counted what the model says yes to, where images are of several classes.
    """

    subject: Subject
    measurer: LayerMeasurer
    predicted: PredictedSplit
    contrasts: ContrastSets
    scores: SampleScores
    gallery: Gallery
    labels: LabelCounter | None = None
    notes: tuple[str, ...] = ()

    @property
    def layer(self) -> str:
        """Whose output the maps are of."""
        return self.measurer.layer

    @property
    def preds(self) -> PredictedClasses:
        """Of every image."""
        return self.predicted.classes

    @property
    def measured(self) -> Measured:
        """What comparisons are made of."""
        view = self.subject.split.field_of_view
        return Measured(preds=self.preds, contrasts=self.contrasts, scores=self.scores, field_of_view=view)


def find(subject: Subject, target_layer: str, protocol: Protocol, shown: str, *, of: str = "") -> Found:
    """Have a version predict and explain; scores that are stored of the layer are not measured again.

    Args:
        subject: the version.
        target_layer: at which layer.
        protocol: how to measure.
        shown: the method that people are shown; stored scores are of the same one, or are measured again.
        of: of what, in the names of the stages that people see.
    """
    measurer = subject.measurer.at(target_layer)
    several = subject.excluded is not None
    labels = label_counter(subject.split, protocol, measurer.outputs, several=several)
    seen = SeenOutputs(subject.split.groups)
    with closing(measurer.predict(f"predict{of}")) as parts:
        predicted = join_predicted(
            seen.of(parts),
            subject.sample_ids,
            subject.target,
            subject.split.num_classes,
            protocol,
            subject.excluded,
            labels,
        )
    seen.require_logits(f"model {subject.version}", measurer.outputs, protocol.outputs)
    contrasts = contrast_sets_by(protocol, predicted.confmat)
    scores, gallery = subject.scores.get(measurer.layer), Gallery.empty()
    if scores is None or scores.shown != shown:
        scores, gallery = measurer.explain(contrasts, predicted.sample, shown, f"explain{of}")
    return Found(
        subject=subject,
        measurer=measurer,
        predicted=predicted,
        contrasts=contrasts,
        scores=scores,
        gallery=gallery,
        labels=labels,
        notes=(
            *seen.notes(measurer.outputs, subject.split.class_names),
            *label_notes(subject.split, measurer.outputs, several=several),
            *(few_were_confused(contrasts) if protocol.contrast == OF_CONFUSION else ()),
            *order_notes(predicted.confmat.counts, subject.split.class_names),
        ),
    )


def drift(candidate: Found, baseline: Found, protocol: Protocol) -> dict[str, FloatArray]:
    """Agreement of both versions' maps, of the images that the candidate was explained on.

    NaN where the two see different parts of an image, so that their maps cannot be laid over each other.
    """
    indices, methods = candidate.predicted.sample.indices, drift_methods(protocol)
    if candidate.subject.split.field_of_view != baseline.subject.split.field_of_view:
        return {method: np.full(len(indices), np.nan) for method in methods}
    return candidate.measurer.map_agreement(candidate.contrasts, baseline.measurer, baseline.contrasts, indices)
