"""The paper's four architectures at full size, with everything that a study of them needs but ImageNet and its weights.

A folder with ImageNet's thousand classes, of which a few have images, and weights that are random but for the head,
which tells those images apart. What comes out means nothing; time and memory are those of the real ones.

`python -m benchmarks.paper_size DIR`, then `case-monitor study DIR/study.yaml -d DIR/study`.
"""

import argparse
import sys
from pathlib import Path

import torch
import torchvision
import yaml
from PIL import Image
from torch import Tensor, nn

from case_monitor.demo.shapes import draw_shapes

ARCHITECTURES = {
    "ResNet-50": "resnet50",
    "VGG-19": "vgg19_bn",
    "DenseNet-201": "densenet201",
    "ConvNeXt-Large": "convnext_large",
}
METHODS = ["case", "gradcam", "gradcam++", "ablationcam", "layercam"]
"""Without Score-CAM: a pass for each of 512 to 2048 channels of each image."""
NUM_CLASSES, SIDE, MARGIN = 1000, 256, 4.0


def make_folder(directory: Path, classes: int, of_each: int) -> list[tuple[Path, int]]:
    """`val` with a folder for each synset; returns the images with their classes."""
    for u in range(NUM_CLASSES):
        (directory / "val" / f"n{u:08d}").mkdir(parents=True, exist_ok=True)
    drawn = draw_shapes(classes * of_each, seed=0).images
    made = []
    for i, image in enumerate(drawn):
        u = i % classes
        made.append((directory / "val" / f"n{u:08d}" / f"{i}.jpg", u))
        Image.fromarray(image).resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(made[-1][0], quality=95)
    return made


def weights_of(name: str, images: list[tuple[Path, int]]) -> dict[str, Tensor]:
    """Random ones, whose head has the mean features of each class that there are images of."""
    torch.manual_seed(0)
    model = torchvision.models.get_model(name, weights=None).eval()
    transform = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    head = [module for module in model.modules() if isinstance(module, nn.Linear)][-1]
    features: list[Tensor] = []
    hook = head.register_forward_pre_hook(lambda _, given: features.append(given[0]))
    labels = torch.tensor([u for _, u in images])
    with torch.no_grad():
        for file, _ in images:
            with Image.open(file) as opened:
                model(transform(opened.convert("RGB"))[None])
        hook.remove()
        x = torch.cat(features)
        centred = x - x.mean(0)
        centroids = torch.stack([centred[labels == u].mean(0) for u in range(int(labels.max()) + 1)])
        own = centred @ centroids.T - centroids.square().sum(1) / 2
        first, second = own.topk(2).values.unbind(1)
        scale = MARGIN / (first - second).mean()
        head.weight.zero_()
        head.bias.fill_(-10 * MARGIN)
        head.weight[: len(centroids)] = scale * centroids
        head.bias[: len(centroids)] = -scale * (centroids @ x.mean(0) + centroids.square().sum(1) / 2)
    return model.state_dict()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--classes", type=int, default=6, help="with images")
    parser.add_argument("--images", type=int, default=2, help="of each")
    parser.add_argument("--only", nargs="*", choices=sorted(ARCHITECTURES), default=sorted(ARCHITECTURES))
    given = parser.parse_args()
    images = make_folder(given.directory, given.classes, given.images)
    models = {}
    for title, name in ARCHITECTURES.items():
        if title in given.only:
            print(f"weights of {title}", file=sys.stderr)
            torch.save(weights_of(name, images), given.directory / f"{name}.pth")
            models[name] = {"torchvision": name, "weights": f"{name}.pth", "data": "imagenet", "title": title}
    study = {
        "title": "The paper's architectures at full size",
        "data": {"imagenet": {"kind": "image_folder", "path": "val"}},
        "models": models,
        "protocol": {"methods": METHODS, "sample_size": 1000},
    }
    (given.directory / "study.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")


if __name__ == "__main__":
    main()
