"""What bfloat16 and compiling do to the results of Score-CAM, on trained networks: a table in Markdown.

The networks: the demo's better CNN, trained as the demo does, and a ResNet-18 trained on generated gratings. On images
that they classify correctly, each option is compared with eager float32: rank correlation of the maps, change of the
agreement between the maps of the two most probable classes, and overlap of the top 5% of the pixels.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import spearmanr
from torch import Tensor, nn
from torchvision.models import resnet18

from benchmarks.timing import say
from case_monitor.demo.digits import MEAN, STD, load_digits, train
from case_monitor.demo.models import PlainCNN
from case_monitor.measuring.class_sensitivity import agreement
from case_monitor.saliency import saliency_maps

_OPTIONS: dict[str, dict[str, Any]] = {"bfloat16": {"amp": torch.bfloat16}, "compiled": {"compile": True}}
_BATCH = 8
_SIDE, _CLASSES = 64, 10
_TRAIN_BATCH, _STEPS = 32, 150  # half a minute to a minute, after which it makes no mistakes


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """A trained network with images and labels that it has not seen."""

    name: str
    model: nn.Module
    layer: str
    images: Tensor
    labels: Tensor


def demo_cnn(_steps: int) -> Trained:
    """Chapter 2 of the demo, and its validation images."""
    digits = load_digits()
    torch.manual_seed(1)
    model = train(PlainCNN(20), digits, epochs=12, seed=1)
    images = torch.from_numpy(digits.val_images)[:, None].float() / 255
    return Trained(
        name="demo CNN",
        model=model,
        layer="features",
        images=(images - MEAN[0]) / STD[0],
        labels=torch.from_numpy(digits.val_labels),
    )


def gratings_resnet(steps: int) -> Trained:
    """ResNet-18, trained briefly; explained at layer3, as 64 pixels leave 2 x 2 positions at layer4."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    model = resnet18(num_classes=_CLASSES)
    optimiser = torch.optim.AdamW(model.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
    model.train()
    for _ in range(steps):
        images, labels = gratings(_TRAIN_BATCH, generator)
        optimiser.zero_grad()
        torch.autograd.backward(F.cross_entropy(model(images), labels))
        optimiser.step()
        schedule.step()
    images, labels = gratings(400, generator)
    return Trained(name="ResNet-18", model=model.eval(), layer="layer3", images=images, labels=labels)


def gratings(count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images with a faded patch of stripes somewhere on noise; the class is the stripes' direction."""
    labels = torch.randint(_CLASSES, (count,), generator=generator)
    position, phase, colour, noise = (
        torch.rand(shape, generator=generator)
        for shape in ((count, 2, 1, 1), (count, 1, 1), (count, 3, 1, 1), (count, 3, _SIDE, _SIDE))
    )
    axis = torch.arange(_SIDE) / _SIDE
    y, x = axis[:, None] - 0.25 - position[:, 0] / 2, axis[None, :] - 0.25 - position[:, 1] / 2
    angle = (labels * torch.pi / _CLASSES)[:, None, None]
    stripes = torch.sin(2 * torch.pi * (8 * (x * angle.cos() + y * angle.sin()) + phase))
    window = torch.exp(-(x**2 + y**2) / (2 * 0.15**2))
    return noise - 0.5 + (1 + colour) * (stripes * window)[:, None], labels


def compare(trained: Trained, count: int) -> list[str]:
    """A line of the table per option."""
    with torch.no_grad():
        logits = torch.cat([trained.model(images) for images in torch.split(trained.images, _BATCH)])
    correct = logits.argmax(1) == trained.labels
    images, targets = trained.images[correct][:count], logits.topk(2).indices[correct][:count]
    say(f"{trained.name}: accuracy {correct.float().mean():.3f}; Score-CAM of {len(images)} images, eager float32")
    expected = _maps(trained, images, targets)
    lines = []
    for name, options in _OPTIONS.items():
        say(f"{trained.name}: {name}")
        found = _maps(trained, images, targets, **options)
        lines.append(_line(trained.name, name, expected, found))
    return lines


def _maps(trained: Trained, images: Tensor, targets: Tensor, **options: Any) -> Tensor:
    """(n, 2, H, W)."""
    parts = [
        saliency_maps(trained.model, x, t, target_layer=trained.layer, methods=("scorecam",), **options)["scorecam"]
        for x, t in zip(torch.split(images, _BATCH), torch.split(targets, _BATCH), strict=True)
    ]
    return torch.cat(parts)


def _line(model: str, option: str, expected: Tensor, found: Tensor) -> str:
    pairs = zip(expected.flatten(0, 1), found.flatten(0, 1), strict=True)
    correlations = np.array([spearmanr(a.flatten(), b.flatten()).statistic for a, b in pairs])
    change = np.abs(_agreement(found) - _agreement(expected))
    overlap = agreement(expected, found).numpy()
    cells = (
        model,
        option,
        str(len(expected)),
        f"{np.nanmedian(correlations):.5f}",
        f"{np.nanmin(correlations):.5f}",
        f"{np.nanmean(change):.5f}",
        f"{np.nanmax(change):.5f}",
        f"{np.nanmean(overlap):.5f}",
        f"{np.nanmin(overlap):.5f}",
    )
    return f"| {' | '.join(cells)} |"


def _agreement(maps: Tensor) -> np.ndarray:
    return agreement(maps[:, 0], maps[:, 1]).numpy()


_NETWORKS: dict[str, Callable[[int], Trained]] = {"demo_cnn": demo_cnn, "resnet18": gratings_resnet}
_HEADER = """\
| network | Score-CAM | images | rank correlation, median | least | change of agreement, mean | greatest \
| top 5% shared, mean | least |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def main() -> None:
    """Train, compare, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.precision", description=__doc__)
    parser.add_argument("--networks", nargs="+", choices=_NETWORKS, default=list(_NETWORKS))
    parser.add_argument("--images", type=int, default=100, help="correctly classified images per network")
    parser.add_argument("--steps", type=int, default=_STEPS, help="of training, for ResNet-18")
    options = parser.parse_args()
    print(_HEADER)
    for name in options.networks:
        say(f"training {name}")
        for line in compare(_NETWORKS[name](options.steps), options.images):
            print(line, flush=True)


if __name__ == "__main__":
    main()
