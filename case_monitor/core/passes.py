"""The passes over a split: predict with a version, explain a sample with it, compare its maps with another's."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from case_monitor.core.channels import ChannelActivity, mean_active_channels
from case_monitor.core.comparison import Measured
from case_monitor.core.confusion import confusion_matrix
from case_monitor.core.contrast import contrast_sets
from case_monitor.core.drift import Explained, map_agreement
from case_monitor.core.explanation import Explainer, sample_indices
from case_monitor.core.predictions import ImageSource, Progress, predict
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import (
    ConfusionMatrix,
    ContrastSets,
    FloatArray,
    Gallery,
    Predictions,
    SampleScores,
    Split,
)
from case_monitor.core.saliency import (
    batch_size_for,
    fast_weights,
    find_target_layer,
    inspecting,
    logits_of,
    tap_layer,
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """What was found out about one version."""

    explained: Explained
    batch_size: int
    preds: Predictions
    active_channels: FloatArray
    confmat: ConfusionMatrix
    contrasts: ContrastSets
    scores: SampleScores
    gallery: Gallery

    @property
    def measured(self) -> Measured:
        return Measured(preds=self.preds, contrasts=self.contrasts, scores=self.scores)


class Passes:
    """The passes over the whole split."""

    def __init__(self, split: Split, source: ImageSource, protocol: Protocol, device: str, progress: Progress) -> None:
        self._split, self._source, self._protocol = split, source, protocol
        self._device, self._progress = device, progress

    def measure(self, model: nn.Module, target_layer: str, known: SampleScores | None = None, *, of: str = "") -> Found:
        """Predict and explain with one version; `known` scores are not computed again."""
        layer = self._find_layer(model) if target_layer == "auto" else target_layer
        with self.prepared(model) as batch_size:
            preds, active = self.predictions(model, layer, batch_size, f"predict{of}")
            confmat = confusion_matrix(preds, self._split.num_classes)
            contrasts = contrast_sets(confmat, self._protocol.contrast_k, observed_only=self._protocol.observed_only)
            explained = Explained(model=model, layer=layer, contrast=contrasts.weights())
            scores, gallery = known, Gallery.empty()
            if scores is None:
                explainer = Explainer(explained, self._source, self._protocol, self._device, batch_size)
                scores, gallery = explainer.run(preds, self._progress, f"explain{of}")
        return Found(
            explained=explained,
            batch_size=batch_size,
            preds=preds,
            active_channels=active,
            confmat=confmat,
            contrasts=contrasts,
            scores=scores,
            gallery=gallery,
        )

    def drift(self, candidate: Found, baseline: Found) -> dict[str, FloatArray]:
        """Agreement of both versions' maps, of the images that the candidate was explained on."""
        return map_agreement(
            candidate.explained,
            baseline.explained,
            self._source,
            sample_indices(candidate.preds, self._protocol.sample_size, self._protocol.seed).tolist(),
            candidate.scores.target,
            protocol=self._protocol,
            device=self._device,
            batch_size=min(candidate.batch_size, baseline.batch_size),
            progress=self._progress,
        )

    def _find_layer(self, model: nn.Module) -> str:
        return find_target_layer(model, self._first_images(), output_key=self._protocol.output_key)

    @contextmanager
    def prepared(self, model: nn.Module) -> Iterator[int]:
        """The model ready for passes over many images; yields how many to take at once."""
        images = self._first_images()
        with inspecting(model), fast_weights(model, self._logits(model), images):
            yield self._protocol.batch_size or batch_size_for(model, images)

    def predictions(self, model: nn.Module, layer: str, batch_size: int, stage: str) -> tuple[Predictions, FloatArray]:
        """The predictions and, from the same pass, the mean number of active channels per class."""
        tap = tap_layer(model, layer, output_key=self._protocol.output_key)
        activity = ChannelActivity(self._protocol.activity_threshold)

        def logits(images: Tensor) -> Tensor:
            def look(output: Tensor) -> Tensor:
                activity(tap.layout(output, images).to_grid(output))
                return output

            return tap(images, look)

        preds = predict(
            logits,
            self._source,
            num_classes=self._split.num_classes,
            batch_size=batch_size,
            device=self._device,
            progress=self._progress,
            stage=stage,
        )
        return preds, mean_active_channels(activity.counts, preds, self._split.num_classes)

    def _logits(self, model: nn.Module) -> Callable[[Tensor], Tensor]:
        key = self._protocol.output_key
        return lambda images: logits_of(model(images), key, len(images))

    def _first_images(self) -> Tensor:
        return next(self._source.batches(range(min(2, self._split.size)), 2)).to(self._device)
