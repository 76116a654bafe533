"""Our diagnostics, of one method's maps of one class and, where they have a control, of random maps."""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import ours
from benchmarks.models import Subject as Network
from case_monitor.domain.diagnostics import RANDOM_MAP
from case_monitor.measuring.diagnostics import ShuffledWeights, Subject, diagnose
from case_monitor.measuring.masked_passes import Question
from case_monitor.saliency import fastest_forward, inspecting, resize_maps, saliency_maps

METHOD = "gradcam"


def diagnosis(network: Network, name: str, images: int) -> Callable[[], object]:
    """One diagnostic of the first `images` images, given their maps."""
    batch, classes = network.images[:images], network.targets[:images]
    small = _explain(batch, classes[:, :1], network, network.model)
    shuffled = ShuffledWeights(network.model, lambda model: model(batch[:1]), 0)

    def run() -> None:
        model = network.model
        with inspecting(model), fastest_forward(model, model, batch, network.logits[:images], rows=images) as forward:
            subject = Subject(
                images=batch,
                classes=classes,
                lowest=network.logits[:images].argmin(1),
                maps={METHOD: resize_maps(small[METHOD], batch.shape[-2:])[:, 0]}
                | {RANDOM_MAP: ours.control_maps(network)[:images, 0]},
                small={METHOD: small[METHOD][:, 0]},
                control=ours.control_maps(network)[:images, 0],
                seeds=np.arange(images),
                seed=0,
                fill="mean",
                question=Question(forward, classes),
                explain=partial(_explain, network=network, model=model),
                shuffled=lambda stage: partial(_explain, network=network, model=shuffled.at(stage)),
            )
            diagnose([name], subject)

    return run


def _explain(images: Tensor, classes: Tensor, network: Network, model: nn.Module) -> dict[str, Tensor]:
    """Of these classes, as small as the layer."""
    with torch.enable_grad():
        return saliency_maps(
            model,
            images,
            classes,
            target_layer=network.architecture.layer,
            methods=(METHOD,),
            contrast_sets=network.contrast_sets(ours.CONTRAST_K),
            size="layer",
        )
