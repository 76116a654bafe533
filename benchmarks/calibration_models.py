"""Versions of a model whose health is known, measured once on a large pool of images from which samples are drawn."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.planted import CLASS_NAMES, PlantedImages, planted_images
from benchmarks.planted_models import TARGET_LAYER, train, untrained
from benchmarks.timing import say
from case_monitor.demo.models import PlainCNN
from case_monitor.domain.arrays import IntArray
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.scores import SampleScores
from case_monitor.judging.contrast_sets import contrast_sets
from case_monitor.judging.figures.between_versions import Measured
from tests.support.whole import confusion_matrix, explain, predict

HEALTHY = "retrained with seed {}"
SAME = "the champion itself"
LOST = 0.03  # accuracy that the worse candidate has lost
MERGED = (0, 1)  # the second of these classes is learned as the first
PROTOCOL = Protocol(methods=("case",), areas=(0.05,), sample_size=10**9)
_TRAIN_SEED, _POOL_SEED, _VALIDATION_SEED = 1000, 2, 3
_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is trained and drawn."""

    seeds: int = 4
    train_images: int = 6000
    epochs: int = 5
    pool: int = 6000
    draws: int = 200

    @classmethod
    def quick(cls) -> "Effort":
        """A few minutes."""
        return cls(seeds=2, train_images=4000, pool=3000, draws=60)


class Everywhere(nn.Module):
    """(B, K, h, w) -> the same with every channel at its mean: maps of it are constant, whatever the class."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((2, 3), keepdim=True).expand_as(features)


def versions(effort: Effort) -> Iterator[tuple[str, bool, Measured]]:
    """(what it is, whether it is healthy, what was measured on the pool); the champion comes first."""
    pool = PlantedImages(planted_images(effort.pool, _POOL_SEED))
    validation = PlantedImages(planted_images(2000, _VALIDATION_SEED))

    def measured(name: str, network: str, seed: int, change: Callable[[PlainCNN], None] | None = None) -> Measured:
        say(f"training: {name}")
        data = planted_images(effort.train_images, _TRAIN_SEED + seed)
        if name.startswith("classes merged"):
            data = replace(data, target=torch.where(data.target == MERGED[1], MERGED[0], data.target))
        model = untrained(network, seed)
        if change:
            change(model)
        train(model, data, epochs=effort.epochs, seed=seed)
        say(f"explaining: {name}")
        return _measure(model, pool, validation)

    champion = measured(SAME, "plain CNN", 0)
    yield SAME, True, champion
    for seed in range(1, effort.seeds + 1):
        name = HEALTHY.format(seed)
        retrained = measured(name, "plain CNN", seed)
        yield name, True, retrained
        if seed == 1:
            yield f"accuracy {100 * LOST:.0f} points lower", False, _less_accurate(retrained, champion)
    yield "shared attention", False, measured("shared attention", "shared attention", 1)
    yield "classes merged", False, measured("classes merged", "plain CNN", 1)
    yield "degenerate maps", False, measured("degenerate maps", "plain CNN", 1, _make_degenerate)


def accuracy(measured: Measured) -> float:
    """On the whole pool."""
    return float((measured.preds.preds == measured.preds.target).mean())


def drawn(measured: Measured, images: IntArray) -> Measured:
    """What would have been measured on these images of the pool only."""
    preds = measured.preds
    chosen = Predictions(
        sample_ids=tuple(preds.sample_ids[i] for i in images), logits=preds.logits[images], target=preds.target[images]
    )
    correct = images[chosen.preds == chosen.target]
    # The pool's scores are of its correctly classified images, in the pool's order.
    places = np.cumsum(preds.preds == preds.target)[correct] - 1
    scores = measured.scores
    return Measured(
        preds=chosen,
        contrasts=measured.contrasts,
        scores=SampleScores(
            sample_ids=tuple(scores.sample_ids[i] for i in places),
            target=scores.target[places],
            top2=scores.top2[places],
            confidence=scores.confidence[places],
            values={key: values[places] for key, values in scores.values.items()},
        ),
    )


@torch.no_grad()
def _measure(model: nn.Module, pool: PlantedImages, validation: PlantedImages) -> Measured:
    preds, seen = (
        predict(model, source, num_classes=len(CLASS_NAMES), batch_size=_BATCH) for source in (pool, validation)
    )
    contrasts = contrast_sets(confusion_matrix(seen, len(CLASS_NAMES)), PROTOCOL.contrast_k)
    with torch.enable_grad():
        scores, _ = explain(model, TARGET_LAYER, contrasts.weights(), pool, preds, PROTOCOL, batch_size=_BATCH)
    return Measured(preds=preds, contrasts=contrasts, scores=scores)


def _make_degenerate(model: PlainCNN) -> None:
    model.features.append(Everywhere())


def _less_accurate(healthy: Measured, champion: Measured) -> Measured:
    """A healthy version with wrong answers mixed in, until it is exactly `LOST` less accurate than the champion."""
    preds = healthy.preds
    right = np.flatnonzero(preds.preds == preds.target)
    too_many = len(right) - round((accuracy(champion) - LOST) * len(preds.target))
    spoilt = np.random.default_rng(0).choice(right, max(0, too_many), replace=False)
    logits = preds.logits.copy()
    logits[spoilt, preds.target[spoilt]] = logits[spoilt].min(axis=1) - 1
    worse = replace(preds, logits=logits)
    kept = ~np.isin(right, spoilt)
    scores = healthy.scores
    return replace(
        healthy,
        preds=worse,
        scores=SampleScores(
            sample_ids=tuple(np.asarray(scores.sample_ids)[kept].tolist()),
            target=scores.target[kept],
            top2=scores.top2[kept],
            confidence=scores.confidence[kept],
            values={key: values[kept] for key, values in scores.values.items()},
        ),
    )
