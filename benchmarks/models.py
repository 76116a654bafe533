"""What is explained: networks with random weights, and noise. Neither changes how long anything takes."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.models import get_model

from case_monitor.demo.digits import SIDE
from case_monitor.demo.models import PlainCNN

BATCH = 8  # the batch of the unit F, and of every library that takes batches
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A network and the layer to explain.

    Attributes:
        fast_ablation: what Ablation-CAM must reach over pytorch-grad-cam, by how much of the network is left to
            replay behind the layer; None where no goal was set.
        scorecam: whether Score-CAM, one forward pass per channel, is affordable.
        small: so few channels that methods with a forward pass per channel are fast anyway, and have no goals.
    """

    build: Callable[[], nn.Module]
    layer: str
    shape: tuple[int, int, int] = (3, 224, 224)
    fast_ablation: float | None = None
    scorecam: bool = False
    small: bool = False


ARCHITECTURES = {
    "resnet18": Architecture(build=partial(get_model, "resnet18"), layer="layer4", scorecam=True),
    "resnet50": Architecture(build=partial(get_model, "resnet50"), layer="layer4", fast_ablation=2500.0, scorecam=True),
    # The ReLU before the last max-pool: the last layer at 14 x 14, and rectified, so that every library sees the same
    # activations (at features.49 or .50 the others save what the in-place ReLU makes of them).
    "vgg19_bn": Architecture(
        build=partial(get_model, "vgg19_bn"), layer="features.51", fast_ablation=50.0, scorecam=True
    ),
    # The last block; features.norm5 behind it is rectified in place, which the other libraries would save.
    "densenet201": Architecture(build=partial(get_model, "densenet201"), layer="features.denseblock4"),
    "convnext_tiny": Architecture(build=partial(get_model, "convnext_tiny"), layer="features"),
    # Chapter 2 of the demo.
    "demo_cnn": Architecture(
        build=partial(PlainCNN, 20), layer="features", shape=(1, SIDE, SIDE), scorecam=True, small=True
    ),
}
QUICK = ("resnet18", "resnet50", "demo_cnn")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A network with images to explain, for their two most probable classes."""

    name: str
    architecture: Architecture
    model: nn.Module
    images: Tensor
    targets: Tensor
    logits: Tensor
    activations: Tensor

    @property
    def layer(self) -> nn.Module:
        return self.model.get_submodule(self.architecture.layer)

    @property
    def channels(self) -> int:
        """K, the number of channels of the layer."""
        return self.activations.shape[1]

    @property
    def num_classes(self) -> int:
        return self.logits.shape[1]

    def contrast_sets(self, k: int) -> dict[int, list[int]]:
        """For each class to explain its `k` strongest rivals, on the first image where it is to be explained."""
        sets: dict[int, list[int]] = {}
        for logits, classes in zip(self.logits, self.targets.tolist(), strict=True):
            for u in classes:
                rivals = [v for v in logits.argsort(descending=True).tolist() if v != u]
                sets.setdefault(u, rivals[:k])
        return sets


@torch.no_grad()
def load(name: str, side: int | None = None) -> Subject:
    """The network called `name` and a batch of noise, of `side` pixels if given; the same at each call."""
    architecture = ARCHITECTURES[name]
    torch.manual_seed(_SEED)
    model = architecture.build().eval()
    channels, height, width = architecture.shape
    images = torch.randn(BATCH, channels, side or height, side or width)
    seen: list[Tensor] = []
    hook = model.get_submodule(architecture.layer).register_forward_hook(lambda _m, _args, a: seen.append(a.clone()))
    logits = model(images)
    hook.remove()
    return Subject(
        name=name,
        architecture=architecture,
        model=model,
        images=images,
        targets=logits.topk(2).indices,
        logits=logits,
        activations=seen[0],
    )
