"""The networks of the ground truth benchmark: trained, explained, and with their weights drawn anew."""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.planted import CLASS_NAMES, SIDE, Part, Planted, PlantedImages, group_of, planted_images
from benchmarks.planted_models import STRIDE, TARGET_LAYER, train, untrained
from case_monitor.domain.confusion_matrix import ConfusionMatrix
from case_monitor.domain.predictions import Predictions
from case_monitor.judging.contrast_sets import contrast_sets
from case_monitor.measuring.fidelity import random_maps
from case_monitor.saliency import saliency_maps
from tests.support.whole import confusion_matrix, predict

METHODS = (
    "case",
    "gradcam",
    "gradcam_log",
    "finercam",
    "gradcam++",
    "layercam",
    "hirescam",
    "scorecam",
    "ablationcam",
    "reciprocam",
)
RANDOM, ORACLE = "random", "oracle"
CONTRAST_K = 3
CASCADE: dict[str, tuple[str, ...]] = {
    "head": ("head", "attention"),
    "head, last block": ("head", "attention", "features.8", "features.9"),
    "everything": ("head", "attention", "features"),
}
"""Which modules are drawn anew, from the logits down; the last block is a convolution and its batch norm."""

_GRID = (SIDE // STRIDE, SIDE // STRIDE)
_TRAIN_SEED, _VALIDATION_SEED, _TEST_SEED, _ANEW_SEED = 1000, 1, 2, 5000
_BATCH = 100
_PARTS: tuple[Part, ...] = ("unique", "shared")


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is trained and explained."""

    seeds: int = 3
    train_images: int = 12000
    epochs: int = 4
    validation_images: int = 3000
    images: int = 300


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Subject:
    """A trained network with what it gets right.

    Attributes:
        network: a name of `NETWORKS`.
        seed: of its weights and of the images that it learned from.
        model: in evaluation mode.
        confmat: on the validation images.
        contrast: V(u) from the confusion matrix, as `saliency_maps` takes it.
        correct: (N,) bool, which test images it classifies correctly.
        hidden: accuracy on the test images with one part not drawn.
    """

    network: str
    seed: int
    model: nn.Module
    confmat: ConfusionMatrix
    contrast: Mapping[int, Mapping[int, float]]
    correct: Tensor
    hidden: Mapping[Part, float]

    @property
    def accuracy(self) -> float:
        """On the validation images."""
        return float(np.trace(self.confmat.counts) / self.confmat.counts.sum())

    @property
    def errors_within_group(self) -> float:
        """Share of the validation errors that go to a class of the same group."""
        group = group_of(torch.arange(len(self.confmat.counts))).numpy()
        errors = self.confmat.counts - np.diag(np.diag(self.confmat.counts))
        return float(errors[group[:, None] == group].sum() / max(errors.sum(), 1))


def explained_images(effort: Effort, hide: Part | None = None) -> Planted:
    """The images to explain, all of them with the glyph of their own."""
    return planted_images(effort.images, _TEST_SEED, dropped=0, hide=hide)


def trained(network: str, seed: int, effort: Effort) -> Subject:
    """Train a network and find out what it confuses."""
    model = train(
        untrained(network, seed),
        planted_images(effort.train_images, _TRAIN_SEED + seed),
        epochs=effort.epochs,
        seed=seed,
    )
    validation = planted_images(effort.validation_images, _VALIDATION_SEED)
    confmat = confusion_matrix(_predict(model, validation), len(CLASS_NAMES))
    hidden = {part: _correct(model, explained_images(effort, part)).float().mean().item() for part in _PARTS}
    return Subject(
        network=network,
        seed=seed,
        model=model,
        confmat=confmat,
        contrast=contrast_sets(confmat, CONTRAST_K).weights(),
        correct=_correct(model, explained_images(effort)),
        hidden=hidden,
    )


def _predict(model: nn.Module, data: Planted) -> Predictions:
    return predict(model, PlantedImages(data), num_classes=len(CLASS_NAMES), batch_size=_BATCH)


def _correct(model: nn.Module, data: Planted) -> Tensor:
    preds = _predict(model, data)
    return torch.from_numpy(preds.preds == preds.target)


def explain(subject: Subject, model: nn.Module, data: Planted) -> dict[str, Tensor]:
    """Maps (N, h, w) of every method for the true class, with the contrast sets of the trained network."""
    maps = saliency_maps(
        model,
        data.images,
        data.target.unsqueeze(1),
        target_layer=TARGET_LAYER,
        methods=METHODS,
        contrast_sets=subject.contrast,
        contrast_k=CONTRAST_K,
        size="layer",
        batch_size=_BATCH,
    )
    return {method: m.squeeze(1) for method, m in maps.items()}


def controls(data: Planted, seed: int) -> dict[str, Tensor]:
    """Maps (N, h, w) that know nothing, and maps that know the unique glyph as well as this layer can tell."""
    names = PlantedImages(data).sample_ids
    return {
        RANDOM: random_maps(names, _GRID, _GRID, seed)[:, 0],
        ORACLE: F.avg_pool2d(data.unique.float().unsqueeze(1), STRIDE).squeeze(1),
    }


def drawn_anew(subject: Subject, modules: Sequence[str], images: Tensor) -> nn.Module:
    """A copy with new random weights in `modules`.

    Their batch norms get the statistics of `images`: with those of the trained weights, activations would be off scale
    or dead, and maps would differ for that reason alone.
    """
    model = copy.deepcopy(subject.model)
    anew = [m for name, part in model.named_children() for m in _chosen(name, part, modules)]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(_ANEW_SEED + subject.seed)
        for module in anew:
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
    for module in anew:
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the mean of all batches, of which there is one
            module.train()
    with torch.no_grad():
        model(images)
    return model.eval()


def _chosen(name: str, part: nn.Module, wanted: Sequence[str]) -> list[nn.Module]:
    inside = [(f"{name}.{rest}" if rest else name, module) for rest, module in part.named_modules()]
    return [m for path, m in inside if any(path == w or path.startswith(f"{w}.") for w in wanted)]
