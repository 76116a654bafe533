"""Explaining the sample: maps batch by batch, of which scores are kept, and a gallery for people."""

from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from scipy.special import softmax
from torch import Tensor

from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.diagnostics import LOCALISATION, RANDOM_MAP, SCORES, score_names, scores_of
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.protocol import TOP_FRACTION, Protocol
from case_monitor.domain.sample import Sample
from case_monitor.domain.scores import (
    CLASS_POSITION,
    FIDELITY_MARGIN,
    ONE_SIDED,
    PAIR_MARGIN,
    POSITION,
    SHOWN_MARGIN,
    SampleScores,
)
from case_monitor.measuring.class_sensitivity import agreement
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.contrastive_deletion import Opposed, opposed_by_pair, opposed_by_shown
from case_monitor.measuring.diagnostics.order import level_order
from case_monitor.measuring.explained import Explained, apart
from case_monitor.measuring.fidelity import maps_of_seeds, margin_names, seeds_of_names
from case_monitor.measuring.gallery import Shown, chosen_places, gallery_of, gallery_places, kept, likeness
from case_monitor.measuring.localisation import localisation
from case_monitor.measuring.measured_model import Evidence, Explanation, ToExplain
from case_monitor.measuring.position import Places, most_frequent, places_of, positions
from case_monitor.measuring.top_pixels import is_degenerate
from case_monitor.measuring.workers.shards import Shard
from case_monitor.measuring.workers.work import Report
from case_monitor.saliency import resize_maps


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainedPart:
    """Scores of a shard of the sample, and those of its images that may be in the gallery.

    Attributes:
        values: (method, metric) -> (n,) scores.
        broken: (n,) maps and passes over the image in which the model gave NaN or infinity.
        places: (n, ...) where the model looks.
        shown: place in the sample -> image with its maps.
    """

    values: Mapping[tuple[str, str], FloatArray]
    broken: IntArray
    places: Places
    shown: Mapping[int, Shown]


class Explainer:
    """Explains images with every method of the protocol; memory is bounded by the batch and the gallery.

    `shown` is the method whose maps people are shown.
    """

    def __init__(self, explained: Explained, conditions: Conditions, batch_size: int, shown: str) -> None:
        self._explained, self._conditions, self._batch_size = explained, conditions, batch_size
        self._of_sides = {PAIR_MARGIN: "", SHOWN_MARGIN: shown}
        self._at = replace(explained.at(batch_size), shown=shown)
        self._source, self._protocol, self._device = conditions.source, conditions.protocol, conditions.device

    def explain(
        self, sample: Sample, shards: Sequence[Shard], report: Callable[[int], None]
    ) -> Iterator[ExplainedPart]:
        """Explain consecutive shards of a sample; `report` is told how many images of them are done."""
        if not shards:
            return
        first, last = shards[0].start, shards[-1].stop
        by_class = gallery_places(sample.preds.target)
        done = first

        def under_way(images: float, batch: int) -> None:
            report(done - first + min(int(images), batch - 1))  # a batch's last image counts once its scores are there

        batches = self._explained_batches(sample, first, last, under_way)
        for shard in shards:
            values: dict[tuple[str, str], list[FloatArray]] = defaultdict(list)
            broken: list[IntArray] = []
            places: list[Places] = []
            shown: dict[int, Shown] = {}
            while done < shard.stop:
                batch, explanation = next(batches)
                part = slice(done, done + len(batch.images))
                maps = {method: m.to(self._device) for method, m in explanation.maps.items()}
                size = batch.images.shape[-2:]
                large = {method: resize_maps(m, size) for method, m in maps.items()}
                counts = {name: sides.counts.cpu().numpy() for name, sides in self._sides(explanation, size).items()}
                scores = self._agreements(batch, large, explanation.evidence.place.shape[-2:])
                scores |= explanation.drops.values | explanation.drops.margins | self._one_sided(counts)
                scores |= explanation.diagnosed.values
                scores |= self._localised(sample.indices[part], batch, large, explanation.evidence.place.shape[-2:])
                for key, score in scores.items():
                    values[key].append(score)
                broken.append(_broken(explanation, large, counts) + _not_finite(maps, explanation.evidence))
                places.append(places_of(explanation.evidence.place, size, TOP_FRACTION))
                shown = kept(shown | self._shown(part, batch.images, maps, scores, by_class), by_class)
                done = part.stop
                report(done - first)
            joined = {key: np.concatenate(scores) for key, scores in values.items()}
            yield ExplainedPart(
                values=joined, broken=np.concatenate(broken), places=np.concatenate(places), shown=shown
            )

    def _explained_batches(
        self, sample: Sample, first: int, last: int, progress: Callable[[float, int], None]
    ) -> Iterator[tuple[ToExplain, Explanation]]:
        """Every batch, which may be sent ahead of its answer, with its answer."""
        sent: deque[ToExplain] = deque()

        def send() -> Iterator[ToExplain]:
            done = first
            for images in self._source.batches(sample.indices[first:last].tolist(), self._batch_size):
                sent.append(_to_explain(sample, slice(done, done + len(images)), images))
                done += len(images)
                yield sent[-1]

        model = self._explained.model
        for explanation in model.explain(self._conditions.first_images(), send(), self._at, progress):
            yield sent.popleft(), explanation

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
                input=images[row].cpu().clone() if place in by_class else None,
                maps={method: m[i].clone() for method, m in picked.items()},
            )
            for i, (place, row) in enumerate(zip(chosen, rows, strict=True))
        }

    def _sides(self, explanation: Explanation, size: Sequence[int]) -> dict[str, Opposed]:
        """Name of a score -> the maps whose pixels were taken away for it."""
        evidence = explanation.evidence
        return {
            PAIR_MARGIN: opposed_by_pair(resize_maps(evidence.pair, size)[:, 0].to(self._device)),
            SHOWN_MARGIN: opposed_by_shown(resize_maps(evidence.shown, size).to(self._device)),
        }

    def _one_sided(self, counts: Mapping[str, IntArray]) -> dict[tuple[str, str], FloatArray]:
        """(B,) 1 where pixels speak for the first class and none for the second."""
        return {
            (self._of_sides[name], ONE_SIDED[name]): ((first > 0) & (second == 0)).astype(np.float64)
            for name, (first, second) in counts.items()
        }

    def _localised(
        self, indices: IntArray, batch: ToExplain, maps: Mapping[str, Tensor], layer_size: Sequence[int]
    ) -> dict[tuple[str, str], FloatArray]:
        """(B,) of each method's maps, and of random ones; nothing unless the protocol asks for it."""
        objects = None
        if LOCALISATION in self._protocol.diagnostics:
            objects = self._source.objects(indices.tolist())
        if objects is None:
            return {}
        size = batch.images.shape[-2:]
        control = maps_of_seeds(batch.seeds, layer_size, size, self._protocol.seed)[:, 0]
        every = {method: m[:, 0].cpu() for method, m in maps.items()} | {RANDOM_MAP: control}
        return localisation(every, objects, level_order(batch.seeds, self._protocol.seed, size))

    def _agreements(
        self, batch: ToExplain, maps: Mapping[str, Tensor], layer_size: Sequence[int]
    ) -> dict[tuple[str, str], FloatArray]:
        """(B,) of each method's maps (B, 2, H, W) for the two classes, and of two random maps."""
        size = batch.images.shape[-2:]
        control = maps_of_seeds(batch.seeds, layer_size, size, self._protocol.seed).to(self._device)
        pairs = torch.stack([*maps.values(), control])  # (M + 1, B, 2, H, W)
        found = agreement(pairs[:, :, 0], pairs[:, :, 1]).cpu().numpy()
        return {(method, "agreement"): found[m] for m, method in enumerate([*maps, RANDOM_MAP])}


def _to_explain(sample: Sample, part: slice, images: Tensor) -> ToExplain:
    preds = sample.preds
    return ToExplain(
        images=images,
        classes=torch.from_numpy(np.stack([preds.target[part], sample.top2[part]], axis=1)),
        logits=torch.from_numpy(preds.logits[part]),
        seeds=seeds_of_names(preds.sample_ids[part]),
        excluded=None if preds.excluded is None else torch.from_numpy(preds.excluded[part]),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Explain:
    """Explains the sample."""

    conditions: Conditions
    explained: Explained
    sample: Sample
    batch_size: int
    shown: str
    name: str = "explain"

    @property
    def parts(self) -> tuple[object, ...]:
        return self.explained.model, self.conditions.source

    def run(self, shards: Sequence[Shard], report: Report) -> Iterator[ExplainedPart]:
        explainer = Explainer(self.explained, self.conditions, self.batch_size, self.shown)
        yield from explainer.explain(self.sample, shards, report)

    def apart(self) -> Self:
        return replace(self, explained=apart(self.conditions, self.explained))


def _broken(explanation: Explanation, maps: Mapping[str, Tensor], counts: Mapping[str, IntArray]) -> IntArray:
    """(B,) passes that gave no number, by what the model's process says and by what its maps (B, 2, H, W) show.

    Only a degenerate map has nothing to take away, and only a side without a pixel (`counts`, (2, B) each) leaves the
    other nothing: where a drop or a margin is missing beside any other, a pass gave no number, whatever is said of it.
    Else a model could choose the images that it is judged by.
    """
    drops = explanation.drops
    diagnosed = explanation.diagnosed
    found = drops.broken + diagnosed.broken
    points = {method: ~is_degenerate(m[:, 0]).cpu().numpy() for method, m in maps.items()}
    points[RANDOM_MAP] = np.ones(len(found), dtype=np.bool_)
    both = {name: of.min(axis=0) > 0 for name, of in counts.items()}
    both[FIDELITY_MARGIN] = counts[SHOWN_MARGIN][0] > 0
    of_maps = {key: value for key, value in diagnosed.values.items() if SCORES[key[1]].of_map_alone}
    for (method, metric), value in (*drops.values.items(), *drops.margins.items(), *of_maps.items()):
        takes_away = both[metric] if metric in both else points[method]
        found = np.where((found == 0) & np.isnan(value) & takes_away, 1, found)
    return found


def _not_finite(maps: Mapping[str, Tensor], evidence: Evidence) -> IntArray:
    """(B,) maps (B, T, h, w) of all kinds that hold NaN or infinity: the model's gradients or logits did."""
    every = (*maps.values(), evidence.pair, evidence.shown, evidence.place)
    counts = sum((~m.isfinite()).flatten(2).any(-1).sum(1).cpu() for m in every)
    return np.asarray(torch.as_tensor(counts).cpu().numpy(), dtype=np.int64)


def join_explained(
    parts: Iterable[ExplainedPart], sample: Sample, protocol: Protocol, shown_method: str
) -> tuple[SampleScores, Gallery]:
    """Put the shards of a sample together, in order: scores one after the other, and the gallery."""
    values: dict[tuple[str, str], list[FloatArray]] = {key: [] for key in _keys(protocol, shown_method)}
    by_class, shown = gallery_places(sample.preds.target), dict[int, Shown]()
    broken: list[IntArray] = []
    places: list[Places] = []
    for part in parts:
        broken.append(part.broken)
        places.append(part.places)
        values = {key: [*values.get(key, []), scores] for key, scores in part.values.items()}
        shown = kept(shown | dict(part.shown), by_class)
    preds = sample.preds
    joined = {key: np.concatenate(found) if found else np.empty(0) for key, found in values.items()}
    looked_at = np.concatenate(places) if places else np.empty((0, 0), dtype=np.uint8)
    joined |= {("", name): found for name, found in positions(looked_at, preds.target).items()}
    scores = SampleScores(
        sample_ids=preds.sample_ids,
        target=preds.target,
        top2=sample.top2,
        confidence=softmax(preds.asked.astype(np.float64), axis=1).max(axis=1, initial=0.0),
        values=joined,
        broken_passes=np.concatenate(broken) if broken else None,
        places=most_frequent(looked_at, preds.target) if places else {},
    )
    return scores, gallery_of(shown, preds, sample.top2, by_class, protocol.methods)


def _keys(protocol: Protocol, shown: str) -> list[tuple[str, str]]:
    """Every score that exists; where no image was classified correctly, with n = 0."""
    of_objects = (*protocol.methods, RANDOM_MAP)
    drops = [f"{kind}_drop_{suffix}" for suffix in protocol.suffixes for kind in ("confidence", "random")]
    return [
        *((method, metric) for method in protocol.methods for metric in ("agreement", *drops)),
        (RANDOM_MAP, "agreement"),
        *score_names(protocol.diagnostics, protocol.methods),
        *((method, s.name) for s in scores_of(protocol.diagnostics) if s.needs_objects for method in of_objects),
        *margin_names(shown, protocol.areas),
        *((of, name) for of, side in (("", PAIR_MARGIN), (shown, SHOWN_MARGIN)) for name in (side, ONE_SIDED[side])),
        ("", POSITION),
        ("", CLASS_POSITION),
    ]
