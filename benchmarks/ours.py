"""Our engine, called as its users call it."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.models import Subject
from case_monitor.measuring.class_sensitivity import agreement
from case_monitor.measuring.contrastive_deletion import contrastive_deletion, opposed_by_pair, opposed_by_shown
from case_monitor.measuring.fidelity import ShownMap, confidence_drops, random_maps
from case_monitor.saliency import (
    PAIR,
    PLACE,
    SHOWN,
    evidence_maps,
    fastest_forward,
    inspecting,
    resize_maps,
    saliency_maps,
)

AREAS = (0.5, 0.05)
CONTRAST_K = 5


def maps(
    subject: Subject, methods: Sequence[str], images: int, k: int = CONTRAST_K, **options: Any
) -> Callable[[], object]:
    """Both maps of the first `images` images at the input's size; `options` go to `saliency_maps`."""
    contrast_sets = subject.contrast_sets(k)
    return lambda: saliency_maps(
        subject.model,
        subject.images[:images],
        subject.targets[:images],
        target_layer=subject.architecture.layer,
        methods=methods,
        contrast_sets=contrast_sets,
        **options,
    )


def explanation(subject: Subject, methods: Sequence[str], images: int) -> Callable[[], object]:
    """Maps and all that is asked of them, as `case_monitor.measuring.explain` has it; people are shown the first."""
    batch, targets = subject.images[:images], subject.targets[:images]
    contrast_sets = subject.contrast_sets(CONTRAST_K)

    def explain() -> None:
        layer_maps = saliency_maps(
            subject.model,
            batch,
            targets,
            target_layer=subject.architecture.layer,
            methods=methods,
            contrast_sets=contrast_sets,
            size="layer",
            more=partial(evidence_maps, shown=methods[0]),
        )
        resized = {name: resize_maps(m, batch.shape[-2:]) for name, m in layer_maps.items()}
        evidence = {name: resized.pop(name) for name in (PAIR, SHOWN, PLACE)}
        _score(subject, batch, targets, resized, evidence)

    return explain


def _score(
    subject: Subject, images: Tensor, classes: Tensor, maps: dict[str, Tensor], evidence: dict[str, Tensor]
) -> None:
    control = control_maps(subject)[: len(images)]
    pairs = torch.stack([*maps.values(), control])
    agreement(pairs[:, :, 0], pairs[:, :, 1])
    model, rows = subject.model, len(subject.images)
    with inspecting(model), fastest_forward(model, model, images, subject.logits[: len(images)], rows=rows) as run:
        confidence_drops(
            run,
            images,
            classes,
            {method: m[:, 0] for method, m in maps.items()},
            control[:, 0],
            ShownMap(method=next(iter(maps)), maps=evidence[SHOWN][:, 0]),
            areas=AREAS,
            fills=("mean",),
            batch_size=rows,
        )
        sides = {PAIR: opposed_by_pair(evidence[PAIR][:, 0]), SHOWN: opposed_by_shown(evidence[SHOWN])}
        contrastive_deletion(run, images, classes, sides, fill="mean", batch_size=rows)


def control_maps(subject: Subject) -> Tensor:
    """(B, 2, H, W) random maps."""
    names = [f"image {i}" for i in range(len(subject.images))]
    return random_maps(names, subject.activations.shape[-2:], subject.images.shape[-2:], seed=0)


@torch.no_grad()
def forward(subject: Subject) -> Tensor:
    """The unit F, for a batch."""
    logits: Tensor = subject.model(subject.images)
    return logits
