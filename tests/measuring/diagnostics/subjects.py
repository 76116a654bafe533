"""Batches to be diagnosed: of a model by hand, and of a small network."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from case_monitor.measuring.diagnostics import Subject
from case_monitor.measuring.masked_passes import Question
from case_monitor.saliency import resize_maps, saliency_maps

CLASSES = 4


class Network(nn.Module):
    """Small, and not linear."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.conv = nn.Conv2d(3, 6, 3, padding=1)
        self.later = nn.Conv2d(6, 8, 3, stride=2, padding=1)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.later(self.conv(images).relu()).relu().mean((2, 3))) * 8


def pictures(count: int = 3, seed: int = 1) -> Tensor:
    return torch.rand(count, 3, 20, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def explain(images: Tensor, classes: Tensor, model: nn.Module) -> dict[str, Tensor]:
    ways = {"methods": ("gradcam", "case"), "target_layer": "later", "size": "layer"}
    return saliency_maps(model.eval(), images, classes, **ways)


def of_network(model: nn.Module, images: Tensor, **changes: Any) -> Subject:
    with torch.no_grad():
        logits = model(images)
    classes = logits.topk(2).indices
    small = {method: maps[:, 0] for method, maps in explain(images, classes[:, :1], model).items()}
    maps = {m: resize_maps(of.unsqueeze(1), images.shape[-2:])[:, 0] for m, of in small.items()}
    return subject(
        model,
        images,
        maps,
        classes=classes,
        small=small,
        explain=partial(explain, model=model),
        lowest=logits.argmin(1),
        **changes,
    )


def subject(logits: Callable[[Tensor], Tensor], images: Tensor, maps: Mapping[str, Tensor], **changes: Any) -> Subject:
    """Of these maps (B, H, W), of class 0 beside 1 unless `changes` say otherwise."""
    count = len(images)
    fields: dict[str, Any] = {
        "classes": torch.tensor([[0, 1]]).expand(count, -1),
        "lowest": torch.ones(count, dtype=torch.int64),
        "small": maps,
        "control": torch.rand(images.shape[0], *images.shape[2:]),
        "seeds": np.arange(count) + 7,
        "seed": 0,
        "fill": "mean",
        "explain": lambda _images, _classes: {method: of.unsqueeze(1) for method, of in maps.items()},
    }
    fields |= changes
    excluded = fields.pop("excluded", None)
    question = Question(logits, fields["classes"], excluded)
    return Subject(images=images, maps=maps, question=question, **fields)
