"""One image, shown to a version: for a person who asks for its maps, and for one who asks whether it works at all."""

from collections.abc import Mapping

import numpy as np
import torch

from case_monitor.domain.errors import ModelError
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.protocol import Protocol
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.measuring.image_source import ImageSource
from case_monitor.measuring.measured_model import At, ToDraw
from case_monitor.saliency import resize_maps

Contrast = Mapping[int, Mapping[int, float]]


def shown(
    source: ImageSource, model: ConfinedModel, protocol: Protocol, contrast: Contrast | None, num_classes: int | None
) -> Gallery:
    """The first image with its maps for the top-1 and the top-2 class.

    Args:
        source: the image, as the version wants it.
        model: the version; its process is ended.
        protocol: how to explain.
        contrast: contrast sets of its classes; None: the image's own next classes.
        num_classes: how many classes these are of, and it has names for; None: nobody knows.

    Raises:
        ModelError: it does not work, has fewer than two classes, or another number of them.
    """
    images = next(source.batches([0], 1))
    try:
        found = model.survey(images, protocol.target_layer)
        [answers] = model.predict(images, iter([images]), found.layer)
        if answers.logits.ndim != 2 or answers.logits.shape[1] < 2:
            msg = f"{model.title}: logits of two or more classes were expected, {answers.logits.shape[1:]} came"
            raise ModelError(msg)
        if num_classes is not None and answers.logits.shape[1] != num_classes:
            came = answers.logits.shape[1]
            msg = f"{model.title}: logits of {num_classes} classes were expected, by its names or its last check, "
            raise ModelError(f"{msg}{came} came; correct models.<name>.class_names or class_map, or check it again")
        classes = torch.from_numpy(answers.logits).topk(2).indices
        at = At(layer=found.layer, contrast=contrast, batch_size=1, outputs=found.outputs)
        [maps] = model.draw(iter([ToDraw(images=images, classes=classes)]), at, protocol.methods)
    finally:
        model.end()
    top1, top2 = classes[0].numpy().astype(np.int64)
    size = images.shape[-2:]
    return Gallery(
        sample_ids=source.sample_ids[:1],
        images=source.to_display(images),
        target=np.array([top1]),
        top2=np.array([top2]),
        maps={method: resize_maps(m, size).numpy() for method, m in maps.items()},
    )


def tried(source: ImageSource, model: ConfinedModel, protocol: Protocol) -> tuple[tuple[int, ...], str]:
    """The shape of the logits of the first image, and the target layer.

    Raises:
        ModelError: the version does not work, or not on that image.
    """
    images = next(source.batches([0], 1))
    try:
        model.load()
        layer = model.survey(images, protocol.target_layer).layer
        [answers] = model.predict(images, iter([images]), layer)
    except ModelError as error:
        failing = f"{model.title} does not work: "
        if not str(error).startswith(failing):
            raise
        why = str(error).removeprefix(failing)
        raise ModelError(f"{model.title} does not take an image of {tuple(images.shape)}: {why}") from None
    finally:
        model.end()
    return answers.logits.shape, layer
