"""Explaining the sample: maps batch by batch, of which scores are kept, and a gallery for people."""

from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
import torch
from scipy.special import softmax
from torch import Tensor

from case_monitor.core.drift import Explained
from case_monitor.core.fidelity import confidence_drops, random_maps
from case_monitor.core.predictions import ImageSource, Progress
from case_monitor.core.protocol import Protocol
from case_monitor.core.records import FloatArray, Gallery, IntArray, Predictions, SampleScores
from case_monitor.core.saliency import fastest_forward, inspecting, logits_of, resize_maps, saliency_maps
from case_monitor.core.sensitivity import agreement

GALLERY_SIZE = 6


def sample_indices(preds: Predictions, sample_size: int, seed: int) -> IntArray:
    """Draw `sample_size` images of the split, without looking at the model; keep the correctly classified ones.

    Two versions of a model are so explained on the same images, but for those that one of them gets wrong.
    """
    drawn = np.sort(np.random.default_rng(seed).permutation(len(preds.target))[:sample_size])
    return np.asarray(drawn[preds.preds[drawn] == preds.target[drawn]], dtype=np.int64)


def second_best(logits: npt.NDArray[np.float32], top1: IntArray) -> IntArray:
    """(n,) the class with the highest logit beside `top1`, the lowest index where several are equal.

    Example:
        >>> second_best(np.float32([[1, 1, 0]]), np.array([0])).tolist()
        [1]
    """
    others = logits.copy()
    others[np.arange(len(others)), top1] = -np.inf
    return np.asarray(others.argmax(axis=1), dtype=np.int64)


class Explainer:
    """Explains images with every method of the protocol; memory is bounded by the batch and the gallery."""

    def __init__(
        self, explained: Explained, source: ImageSource, protocol: Protocol, device: str, batch_size: int
    ) -> None:
        self._model, self._layer, self._contrast = explained.model, explained.layer, explained.contrast
        self._source, self._protocol, self._device, self._batch_size = source, protocol, device, batch_size

    def run(self, preds: Predictions, progress: Progress, stage: str = "explain") -> tuple[SampleScores, Gallery]:
        """Scores of the sampled images that `preds` has right, and a few of them with their maps."""
        indices = sample_indices(preds, self._protocol.sample_size, self._protocol.seed)
        target = preds.target[indices]
        top2 = second_best(preds.logits[indices], target)
        names = tuple(preds.sample_ids[i] for i in indices)
        values: dict[tuple[str, str], list[FloatArray]] = defaultdict(list)
        gallery = _GalleryBuilder(target, top2, names)
        done = 0
        for images in self._source.batches(indices.tolist(), self._batch_size):
            part = slice(done, done + len(images))
            targets = torch.from_numpy(np.stack([target[part], top2[part]], axis=1)).to(self._device)
            on_device = images.to(self._device)
            layer_maps = self._layer_maps(on_device, targets, _shifted(progress, stage, done, len(indices)))
            layer_size = next(iter(layer_maps.values())).shape[-2:]
            maps = {m: resize_maps(s, images.shape[-2:]) for m, s in layer_maps.items()}
            control = random_maps(names[part], layer_size, images.shape[-2:], self._protocol.seed)
            logits = torch.from_numpy(preds.logits[indices[part]]).to(self._device)
            for key, score in self._scores(on_device, targets[:, 0], logits, maps, control.to(self._device)).items():
                values[key].append(score)
            gallery.add(done, images, maps)
            done = part.stop
            progress(stage, done, len(indices))
        scores = SampleScores(
            sample_ids=names,
            target=target,
            top2=top2,
            confidence=softmax(preds.logits[indices].astype(np.float64), axis=1).max(axis=1, initial=0.0),
            values=self._join(values),
        )
        return scores, gallery.build(self._source, self._protocol.methods)

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
    ) -> dict[tuple[str, str], FloatArray]:
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
        return scores | drops

    def _join(self, values: Mapping[tuple[str, str], list[FloatArray]]) -> dict[tuple[str, str], FloatArray]:
        if values:
            return {key: np.concatenate(parts) for key, parts in values.items()}
        # No image was classified correctly: every score exists, with n = 0.
        drops = [f"{kind}_drop_{s}" for s in self._protocol.suffixes for kind in ("confidence", "random")]
        keys = [(method, metric) for method in self._protocol.methods for metric in ("agreement", *drops)]
        return {key: np.empty(0) for key in [*keys, ("random", "agreement")]}


def _shifted(progress: Progress, stage: str, before: int, total: int) -> Callable[[float, int], None]:
    """Reports a batch's images, of which the last counts once its scores are there."""
    return lambda done, batch: progress(stage, before + min(int(done), batch - 1), total)


class _GalleryBuilder:
    """Keeps images and maps of a few positions, of as many different classes as possible."""

    def __init__(self, target: IntArray, top2: IntArray, names: tuple[str, ...]) -> None:
        self._positions = _spread(target)
        self._target, self._top2 = target[self._positions], top2[self._positions]
        self._names = tuple(names[i] for i in self._positions)
        self._images: list[Tensor] = []
        self._maps: dict[str, list[Tensor]] = defaultdict(list)

    def add(self, start: int, images: Tensor, maps: Mapping[str, Tensor]) -> None:
        for i in self._positions:
            if start <= i < start + len(images):
                self._images.append(images[i - start])
                for method, m in maps.items():
                    self._maps[method].append(m[i - start].cpu())

    def build(self, source: ImageSource, methods: tuple[str, ...]) -> Gallery:
        if not self._images:
            return Gallery.empty(methods)
        images = source.to_display(torch.stack(self._images))
        stacked = {m: torch.stack(self._maps[m]).numpy() for m in methods}
        return Gallery(sample_ids=self._names, images=images, target=self._target, top2=self._top2, maps=stacked)


def _spread(target: IntArray) -> list[int]:
    """Up to `GALLERY_SIZE` positions, of as many different classes as possible, in order."""
    seen: dict[int, int] = defaultdict(int)
    turns = []
    for i, u in enumerate(target.tolist()):
        turns.append((seen[u], i))
        seen[u] += 1
    return sorted(i for _, i in sorted(turns)[:GALLERY_SIZE])
