"""The maps of one image, for a person who asks."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from case_monitor.domain.arrays import IntArray
from case_monitor.domain.errors import ModelError
from case_monitor.domain.isolation import Isolation
from case_monitor.domain.protocol import Protocol
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.measuring.device import pick_device
from case_monitor.measuring.measured_model import At, ToDraw
from case_monitor.registry.loading import RegisteredModel
from case_monitor.saliency import resize_maps

Contrast = Mapping[int, Mapping[int, float]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExplainedImage:
    """The top-1 and the top-2 class (2,), and method -> maps of both (1, 2, H, W)."""

    classes: IntArray
    maps: Mapping[str, npt.NDArray[np.float32]]


def explain_image(
    registered: RegisteredModel, images: Tensor, protocol: Protocol, contrast: Contrast | None, isolation: Isolation
) -> ExplainedImage:
    """Have a version explain one prepared image (1, C, H, W).

    Args:
        registered: the version.
        images: the image, as it wants it.
        protocol: how to explain.
        contrast: contrast sets of its classes; None: the image's own next classes.
        isolation: how the version is shut in.

    Raises:
        ModelError: it does not work, or has fewer than two classes.
    """
    model = ConfinedModel(registered.files, protocol, pick_device("cpu"), isolation)
    try:
        layer = model.survey(images, protocol.target_layer).layer
        [answers] = model.predict(images, iter([images]), layer)
        if answers.logits.ndim != 2 or answers.logits.shape[1] < 2:
            shape = answers.logits.shape[1:]
            msg = f"model {registered.version}: logits of two or more classes were expected, {shape} came"
            raise ModelError(msg)
        classes = torch.from_numpy(answers.logits).topk(2).indices
        at = At(layer=layer, contrast=contrast, batch_size=1)
        [maps] = model.draw(iter([ToDraw(images=images, classes=classes)]), at, protocol.methods)
    finally:
        model.end()
    size = images.shape[-2:]
    return ExplainedImage(
        classes=classes[0].numpy().astype(np.int64),
        maps={method: resize_maps(m, size).numpy() for method, m in maps.items()},
    )
