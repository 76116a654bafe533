"""Explaining the sample: maps batch by batch, of which scores are kept, and a gallery for people."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import Sample
from case_monitor.domain.scores import SampleScores
from case_monitor.measuring.class_sensitivity import agreement
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.explained import Explained, apart
from case_monitor.measuring.fidelity import confidence_drops, random_maps
from case_monitor.measuring.gallery import Shown, chosen_places, gallery_of, gallery_places, kept, likeness
from case_monitor.measuring.image_source import ImageSource
from case_monitor.measuring.workers.shards import Shard
from case_monitor.measuring.workers.work import Report
from case_monitor.saliency import fastest_forward, inspecting, logits_of, resize_maps, saliency_maps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainedPart:
    """Scores of a shard of the sample, and those of its images that may be in the gallery.

    Attributes:
        values: (method, metric) -> (n,) scores.
        broken: (n,) maps and passes over the image in which the model gave NaN or infinity.
        shown: place in the sample -> image with its maps.
    """

    values: Mapping[tuple[str, str], FloatArray]
    broken: IntArray
    shown: Mapping[int, Shown]


class Explainer:
    """Explains images with every method of the protocol; memory is bounded by the batch and the gallery."""

    def __init__(
        self, explained: Explained, source: ImageSource, protocol: Protocol, device: str, batch_size: int
    ) -> None:
        self._model, self._layer, self._contrast = explained.model, explained.layer, explained.contrast
        self._source, self._protocol, self._device, self._batch_size = source, protocol, device, batch_size

    def explain(
        self, sample: Sample, shards: Sequence[Shard], report: Callable[[int], None]
    ) -> Iterator[ExplainedPart]:
        """Explain consecutive shards of a sample; `report` is told how many images of them are done."""
        if not shards:
            return
        first, last = shards[0].start, shards[-1].stop
        batches = self._source.batches(sample.indices[first:last].tolist(), self._batch_size)
        by_class = gallery_places(sample.preds.target)
        done = first
        for shard in shards:
            values: dict[tuple[str, str], list[FloatArray]] = defaultdict(list)
            broken: list[IntArray] = []
            shown: dict[int, Shown] = {}
            while done < shard.stop:
                images = next(batches)
                part = slice(done, done + len(images))
                maps, scores, passes = self._batch(sample, part, images, _shifted(report, done - first))
                for key, score in scores.items():
                    values[key].append(score)
                broken.append(passes)
                shown = kept(shown | self._shown(part, images, maps, scores, by_class), by_class)
                done = part.stop
                report(done - first)
            joined = {key: np.concatenate(scores) for key, scores in values.items()}
            yield ExplainedPart(values=joined, broken=np.concatenate(broken), shown=shown)

    def _shown(
        self,
        part: slice,
        images: Tensor,
        maps: Mapping[str, Tensor],
        scores: Mapping[tuple[str, str], FloatArray],
        by_class: Collection[int],
    ) -> dict[int, Shown]:
        """The images of a batch that may be in the gallery, by their place in the sample; nothing holds the batch."""
        alike = likeness(scores, self._protocol.methods).tolist()
        chosen = chosen_places(dict(enumerate(alike, part.start)), by_class)
        rows = [place - part.start for place in chosen]
        pictures = self._source.to_display(images[rows])
        picked = {method: m[rows].cpu() for method, m in maps.items()}
        return {
            place: Shown(
                likeness=alike[row],
                image=pictures[i].copy(),
                maps={method: m[i].clone() for method, m in picked.items()},
            )
            for i, (place, row) in enumerate(zip(chosen, rows, strict=True))
        }

    def _batch(
        self, sample: Sample, part: slice, images: Tensor, progress: Callable[[float, int], None]
    ) -> tuple[dict[str, Tensor], dict[tuple[str, str], FloatArray], IntArray]:
        """Maps (B, 2, h, w), as small as the layer, scores (B,) and broken passes (B,) of the images at `part`."""
        top1, top2 = sample.preds.target[part], sample.top2[part]
        targets = torch.from_numpy(np.stack([top1, top2], axis=1)).to(self._device)
        on_device = images.to(self._device)
        layer_maps = self._layer_maps(on_device, targets, progress)
        layer_size = next(iter(layer_maps.values())).shape[-2:]
        maps = {m: resize_maps(s, images.shape[-2:]) for m, s in layer_maps.items()}
        names = sample.preds.sample_ids[part]
        control = random_maps(names, layer_size, images.shape[-2:], self._protocol.seed).to(self._device)
        logits = torch.from_numpy(sample.preds.logits[part]).to(self._device)
        scores, broken = self._scores(on_device, targets[:, 0], logits, maps, control)
        return layer_maps, scores, broken + _not_finite(layer_maps)

    def _layer_maps(self, images: Tensor, targets: Tensor, progress: Callable[[float, int], None]) -> dict[str, Tensor]:
        return saliency_maps(
            self._model,
            images,
            targets,
            target_layer=self._layer,
            methods=self._protocol.methods,
            contrast_sets=self._contrast,
            contrast_k=self._protocol.contrast_k,
            size="layer",
            output_key=self._protocol.output_key,
            batch_size=self._batch_size,
            amp=torch.bfloat16 if self._protocol.amp else None,
            compile=self._protocol.compile,
            progress=progress,
        )

    def _scores(
        self, images: Tensor, top1: Tensor, logits: Tensor, maps: Mapping[str, Tensor], control: Tensor
    ) -> tuple[dict[tuple[str, str], FloatArray], IntArray]:
        pairs = torch.stack([*maps.values(), control])  # (M + 1, B, 2, H, W)
        agreements = agreement(pairs[:, :, 0], pairs[:, :, 1]).cpu().numpy()
        scores = {(method, "agreement"): agreements[m] for m, method in enumerate([*maps, "random"])}
        model, key, rows = self._model, self._protocol.output_key, self._batch_size

        def plain(x: Tensor) -> Tensor:
            return logits_of(model(x), key, len(x))

        with inspecting(model), fastest_forward(model, plain, images[:1], logits[:1], rows=rows) as forward:
            drops = confidence_drops(
                forward,
                images,
                top1,
                {m: s[:, 0] for m, s in maps.items()},
                control[:, 0],
                areas=self._protocol.areas,
                fills=self._protocol.fills,
                batch_size=rows,
            )
        return scores | drops.values, drops.broken


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explain:
    """Explains the sample."""

    conditions: Conditions
    explained: Explained
    sample: Sample
    batch_size: int
    name: str = "explain"

    @property
    def parts(self) -> tuple[object, ...]:
        return self.explained.model, self.conditions.source

    def run(self, shards: Sequence[Shard], report: Report) -> Iterator[ExplainedPart]:
        explainer = Explainer(
            self.explained, self.conditions.source, self.conditions.protocol, self.conditions.device, self.batch_size
        )
        with self.conditions.prepared(self.explained.model):
            yield from explainer.explain(self.sample, shards, report)

    def apart(self) -> Self:
        return replace(self, explained=apart(self.conditions, self.explained))


def _not_finite(maps: Mapping[str, Tensor]) -> IntArray:
    """(B,) maps (B, 2, h, w) of all methods that hold NaN or infinity: the model's gradients or logits did."""
    counts = sum((~m.isfinite()).flatten(2).any(-1).sum(1) for m in maps.values())
    return np.asarray(torch.as_tensor(counts).cpu().numpy(), dtype=np.int64)


def join_explained(parts: Iterable[ExplainedPart], sample: Sample, protocol: Protocol) -> tuple[SampleScores, Gallery]:
    """Put the shards of a sample together, in order: scores one after the other, and the gallery."""
    values: dict[tuple[str, str], list[FloatArray]] = {key: [] for key in _keys(protocol)}
    by_class, shown = gallery_places(sample.preds.target), dict[int, Shown]()
    broken: list[IntArray] = []
    for part in parts:
        broken.append(part.broken)
        values = {key: [*values.get(key, []), scores] for key, scores in part.values.items()}
        shown = kept(shown | dict(part.shown), by_class)
    preds = sample.preds
    scores = SampleScores(
        sample_ids=preds.sample_ids,
        target=preds.target,
        top2=sample.top2,
        confidence=softmax(preds.logits.astype(np.float64), axis=1).max(axis=1, initial=0.0),
        values={key: np.concatenate(found) if found else np.empty(0) for key, found in values.items()},
        broken_passes=np.concatenate(broken) if broken else None,
    )
    return scores, gallery_of(shown, preds, sample.top2, by_class, protocol.methods)


def _keys(protocol: Protocol) -> list[tuple[str, str]]:
    """Every score that exists; where no image was classified correctly, with n = 0."""
    drops = [f"{kind}_drop_{suffix}" for suffix in protocol.suffixes for kind in ("confidence", "random")]
    return [
        *((method, metric) for method in protocol.methods for metric in ("agreement", *drops)),
        ("random", "agreement"),
    ]


def _shifted(report: Callable[[int], None], before: int) -> Callable[[float, int], None]:
    """Reports a batch's images, of which the last counts once its scores are there."""
    return lambda done, batch: report(before + min(int(done), batch - 1))
