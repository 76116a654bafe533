"""The kinds of versions whose health is known: how each is made."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

import torch
from torch import Tensor, nn

from benchmarks.calibration.images import DIGITS, GLYPHS, ImageSet, Labelled, Mark
from benchmarks.calibration.networks import ARCHITECTURES

MERGED = (0, 1)  # the second of these classes is learned as the first
DEAD = 2
LOST = 0.03
_STEPS = {DIGITS.name: 450, GLYPHS.name: 450}
_DROPPED = 0.3
_TWIN_SCALE = 10.0


class Goal(StrEnum):
    """What the gate should do with a kind."""

    PASS = "passes"
    WITHHOLD = "withheld"
    WITHHOLD_BESIDE = "withheld beside a champion"
    WARN = "warned"
    AS_TWIN = "as its twin"
    TOLD = "told, no goal"


Labels = Callable[[Tensor, int, int], Tensor]
"""(N,) classes, how many there are, seed -> the classes as they are learned; -1 for an image that is left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """How a network learns.

    Attributes:
        name: of what is wrong with it.
        labels: what is made of the labels.
        share: of the training steps.
        mark: what is painted into images, to learn from and to be judged on.
    """

    name: str = "clean"
    labels: Labels = field(default=lambda target, _classes, _seed: target)
    share: float = 1.0
    mark: Mark | None = None

    def of(self, data: Labelled, images: ImageSet, seed: int) -> Labelled:
        """What is learned; a mark is of the true class."""
        target = self.labels(data.target, images.num_classes, seed)
        shown = images.marked(data, self.mark)
        return Labelled(images=shown.images, target=target)[target >= 0]

    def steps(self, architecture: str, images: ImageSet) -> int:
        return round(self.share * ARCHITECTURES[architecture].longer * _STEPS[images.name])


def _noise(share: float) -> Labels:
    """So many labels are drawn by lot among the other classes."""

    def labels(target: Tensor, classes: int, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        wrong = (target + torch.randint(1, classes, target.shape, generator=generator)) % classes
        return torch.where(torch.rand(target.shape, generator=generator) < share, wrong, target)

    return labels


def _merged(target: Tensor, _classes: int, _seed: int) -> Tensor:
    return torch.where(target == MERGED[1], MERGED[0], target)


def _without_dead(target: Tensor, _classes: int, _seed: int) -> Tensor:
    return torch.where(target == DEAD, -1, target)


CLEAN = Lesson()
_SHORT = Lesson(name="undertrained", share=0.15)
_NOISE_30 = Lesson(name="30% label noise", labels=_noise(0.3))
_NOISE_60 = Lesson(name="60% label noise", labels=_noise(0.6))
_MERGED = Lesson(name="two classes merged", labels=_merged)
_DEAD = Lesson(name="a dead class", labels=_without_dead)
_MARKED_ALL = Lesson(name="shortcut in all classes", mark="in all classes")
_MARKED_ONE = Lesson(name="shortcut in one class", mark="in one class")


class _Everywhere(nn.Module):
    """(B, K, h, w) -> the same with every channel at its mean: maps of it are constant, whatever the class."""

    def forward(self, features: Tensor) -> Tensor:
        return features.mean((2, 3), keepdim=True).expand_as(features)


class _LeftOn(nn.Module):
    """Dropout that forgets to stop."""

    def forward(self, features: Tensor) -> Tensor:
        return nn.functional.dropout(features, _DROPPED, training=True)


Change = Callable[[nn.Module, str, int], None]
"""What is done to a network, with the name of its head and the seed."""


def _random_head(model: nn.Module, head: str, seed: int) -> None:
    torch.manual_seed(1000 + seed)
    model.get_submodule(head).reset_parameters()


def _twin(model: nn.Module, head: str, seed: int) -> None:
    """One vector, large, added to all rows: every probability stays as it was."""
    weight = model.get_submodule(head).weight
    vector = torch.randn(weight.shape[1], generator=torch.Generator().manual_seed(seed))
    weight.data += _TWIN_SCALE * weight.data.std() * vector


def _spread_out(model: nn.Module, _head: str, _seed: int) -> None:
    model.get_submodule("features").append(_Everywhere())


def _leave_dropout_on(model: nn.Module, head: str, _seed: int) -> None:
    setattr(model, head, nn.Sequential(_LeftOn(), model.get_submodule(head)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of version.

    Attributes:
        name: for people.
        goal: what the gate should do with it.
        architecture: the network.
        lesson: how it learns; None leaves it untrained.
        change: what is done to the network after it has learned.
        layer: whose output is explained.
        spoilt: wrong answers are mixed in until it is this much less accurate than the champion.
        sets: on which images.
    """

    name: str
    goal: Goal
    architecture: str = "plain CNN"
    lesson: Lesson | None = CLEAN
    change: Change | None = None
    layer: str = "auto"
    spoilt: float = 0.0
    sets: tuple[ImageSet, ...] = (DIGITS, GLYPHS)

    @property
    def mark(self) -> Mark | None:
        return self.lesson.mark if self.lesson else None


KINDS = {
    kind.name: kind
    for kind in (
        Kind(name="plain CNN", goal=Goal.PASS),
        Kind(name="ResNet", goal=Goal.PASS, architecture="ResNet"),
        Kind(name="ConvNeXt", goal=Goal.PASS, architecture="ConvNeXt", sets=(DIGITS,)),
        Kind(name="ViT", goal=Goal.PASS, architecture="ViT", sets=(DIGITS,)),
        Kind(name="same-probability twin", goal=Goal.AS_TWIN, change=_twin),
        Kind(name="random init", goal=Goal.WITHHOLD, lesson=None),
        Kind(name="random head", goal=Goal.WITHHOLD, change=_random_head),
        Kind(name="undertrained", goal=Goal.WITHHOLD, lesson=_SHORT),
        Kind(name="shared attention", goal=Goal.WITHHOLD, architecture="shared attention"),
        Kind(name="two classes merged", goal=Goal.WITHHOLD, lesson=_MERGED),
        Kind(name="a dead class", goal=Goal.WITHHOLD, lesson=_DEAD),
        Kind(name="early layer", goal=Goal.WITHHOLD, layer="features.2"),
        Kind(name="dropout left on", goal=Goal.WITHHOLD, change=_leave_dropout_on),
        Kind(name="degenerate maps", goal=Goal.WITHHOLD, change=_spread_out),
        Kind(name="60% label noise", goal=Goal.WITHHOLD, lesson=_NOISE_60),
        Kind(name="30% label noise", goal=Goal.TOLD, lesson=_NOISE_30),
        Kind(name="3 points less accurate", goal=Goal.WITHHOLD_BESIDE, spoilt=LOST),
        Kind(name="shortcut in all classes", goal=Goal.WARN, lesson=_MARKED_ALL),
        Kind(name="shortcut in one class", goal=Goal.WARN, lesson=_MARKED_ONE),
    )
}
TWIN_OF = {"same-probability twin": "plain CNN"}
