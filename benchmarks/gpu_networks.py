"""The networks of the GPU's benchmark, on a device: random weights from one seed, noise for images."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models import VisionTransformer, get_model

from benchmarks.models import ARCHITECTURES, Architecture, Subject
from case_monitor.demo.models import PlainCNN
from case_monitor.saliency import batch_size_for, tap_layer

_SEED = 0
_SMALL = (3, 96, 96)
_LARGEST_BATCH = 256
# Of the logits over the classes: with those of an untrained network every class has one probability, and no pixel
# that is taken away changes it.
_LOGIT_SD = 3.0


def _small_vit() -> nn.Module:
    return VisionTransformer(
        image_size=_SMALL[1], patch_size=16, num_layers=4, num_heads=4, hidden_dim=192, mlp_dim=384
    )


_TINY = Architecture(build=partial(PlainCNN, 8), layer="features", shape=(1, 32, 32), small=True)
LARGE = {
    **{name: ARCHITECTURES[name] for name in ("resnet50", "vgg19_bn", "densenet201")},
    "convnext_large": Architecture(build=partial(get_model, "convnext_large"), layer="features"),
    # What `auto` finds: behind the last attention only the class token counts.
    "vit_b_16": Architecture(build=partial(get_model, "vit_b_16"), layer="encoder.layers.encoder_layer_11.ln_1"),
}
SMALL = {
    "resnet18": Architecture(build=partial(get_model, "resnet18"), layer="layer4", shape=_SMALL),
    "vgg11_bn": Architecture(build=partial(get_model, "vgg11_bn"), layer="features.27", shape=_SMALL),
    "densenet121": Architecture(build=partial(get_model, "densenet121"), layer="features.denseblock4", shape=_SMALL),
    "convnext_tiny": Architecture(build=partial(get_model, "convnext_tiny"), layer="features", shape=_SMALL),
    "vit (4 layers)": Architecture(build=_small_vit, layer="encoder.layers.encoder_layer_3.ln_1", shape=_SMALL),
}
TINY = {"plain cnn": _TINY}


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is done. The full measure is for a GPU, the other to see that the program runs, anywhere."""

    quick: bool = False
    parity_images: int = 2
    rounds: int = 3
    jpegs: int = 400
    workers: tuple[int, ...] = (0, 16)
    job_workers: int = 8
    read_batch: int = 32
    peers_batch: int = 32
    peers_part: int = 256

    @classmethod
    def small(cls) -> "Effort":
        return cls(
            quick=True,
            parity_images=2,
            rounds=1,
            jpegs=12,
            workers=(0,),
            job_workers=0,
            read_batch=2,
            peers_batch=4,
            peers_part=8,
        )

    only: tuple[str, ...] = ()

    @property
    def small_networks(self) -> dict[str, Architecture]:
        return TINY if self.quick else SMALL

    @property
    def large_networks(self) -> dict[str, Architecture]:
        if self.quick:
            return TINY
        return {name: architecture for name, architecture in LARGE.items() if not self.only or name in self.only}

    @property
    def peers_networks(self) -> dict[str, Architecture]:
        """Those with a grid that every library finds, but for the one on which the others take too long."""
        return {name: a for name, a in self.large_networks.items() if not name.startswith(("vit", "convnext"))}

    @property
    def first_network(self) -> tuple[str, Architecture]:
        """For what one network shows."""
        return next(iter((TINY if self.quick else LARGE).items()))


def build(architecture: Architecture, device: str) -> nn.Module:
    """The same network at each call, on any device; its logits spread as a trained one's do."""
    torch.manual_seed(_SEED)
    model = architecture.build().eval()
    head = [m for m in model.modules() if isinstance(m, nn.Linear)][-1]
    with torch.no_grad():
        head.weight.normal_()  # torchvision's ViT starts with zeros
        spread = model(noise(architecture, 2)).std(1).mean()
        for parameter in head.parameters():
            parameter *= _LOGIT_SD / spread
    return model.to(device)


def noise(architecture: Architecture, count: int) -> Tensor:
    """(count, C, H, W) images on the CPU; the same at each call."""
    return torch.randn(count, *architecture.shape, generator=torch.Generator().manual_seed(_SEED))


@torch.no_grad()
def subject(name: str, architecture: Architecture, model: nn.Module, device: str, batch: int = 0) -> Subject:
    """A batch to explain for the two most probable classes; as large as the product takes it, if `batch` is 0."""
    if not batch:
        batch = min(_LARGEST_BATCH, batch_size_for(model, noise(architecture, 1).to(device)))
    images = noise(architecture, batch).to(device)
    tap, seen = tap_layer(model, architecture.layer), []

    def look(output: Tensor) -> Tensor:
        seen.append(tap.layout(output, images).to_grid(output).clone())
        return output

    logits = tap(images, look)
    return Subject(
        name=name,
        architecture=architecture,
        model=model,
        images=images,
        targets=logits.topk(2).indices,
        logits=logits,
        activations=seen[0],
    )


def random_classes(count: int, num_classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Two different classes for each image: an untrained network finds all images alike, a data set is not."""
    rng = np.random.default_rng(_SEED)
    first = rng.integers(num_classes, size=count)
    return first, (first + rng.integers(1, num_classes, size=count)) % num_classes


Row = dict[str, object]
