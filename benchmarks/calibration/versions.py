"""Versions of every kind: trained and measured once, and kept in a folder, so that a run that was killed goes on."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from benchmarks.calibration.images import IMAGE_SETS, ImageSet, Mark
from benchmarks.calibration.kinds import CLEAN, KINDS, Kind, Lesson
from benchmarks.calibration.measure import measure
from benchmarks.calibration.measurement import Measurement
from benchmarks.calibration.networks import ARCHITECTURES, train, untrained
from benchmarks.timing import say

SEEDS = (0, 1, 2)
LOOKED_AT = (0,)
"""Seeds of the networks that may be looked at when a rule is thought of; the others are held out."""
CHAMPION = "champion"
CHAMPION_SEED = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A network of a kind on a set of images."""

    kind: Kind
    images: ImageSet
    seed: int

    @property
    def name(self) -> str:
        return f"{self.images.name}, {self.kind.name}, seed {self.seed}"

    @property
    def held_out(self) -> bool:
        return self.seed not in LOOKED_AT


def versions(kinds: list[str], sets: list[str], seeds: tuple[int, ...]) -> Iterator[Version]:
    """Every version: set after set, seed after seed."""
    for images in (IMAGE_SETS[name] for name in sets):
        for seed in seeds:
            for kind in (KINDS[name] for name in kinds):
                if images in kind.sets:
                    yield Version(kind=kind, images=images, seed=seed)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A folder with trained weights and what was measured.

    Attributes:
        folder: where it is.
        pool: how many images of the pool are looked at.
        effort: the share of the training steps that is taken.
    """

    folder: Path
    pool: int
    effort: float = 1.0

    def measured(self, version: Version, shown: str) -> Measurement:
        """What was measured, now or before."""
        kind = version.kind
        if kind.spoilt:
            champion = self.champion(version.images, None, shown)
            healthy = self._kept(version, KINDS["plain CNN"], shown)
            return healthy.less_accurate(champion.accuracy - kind.spoilt)
        return self._kept(version, kind, shown)

    def champion(self, images: ImageSet, mark: Mark | None, shown: str) -> Measurement:
        """A healthy plain CNN that no version is made of, on the images that the version is judged on."""
        file = self._file(images, f"{CHAMPION}{f' with a mark {mark}' if mark else ''}", CHAMPION_SEED, shown)
        if not file.exists():
            model = self._trained("plain CNN", CLEAN, images, CHAMPION_SEED)
            self._measure(model, images, mark, "auto", shown, file)
        return Measurement.load(file)

    def _kept(self, version: Version, kind: Kind, shown: str) -> Measurement:
        file = self._file(version.images, kind.name, version.seed, shown)
        if not file.exists():
            model = self._made(kind, version.images, version.seed)
            self._measure(model, version.images, kind.mark, kind.layer, shown, file)
        return Measurement.load(file)

    def _file(self, images: ImageSet, name: str, seed: int, shown: str) -> Path:
        return self.folder / "measured" / f"{images.name} {name} {seed} {shown} {self.pool}.npz"

    def _measure(
        self, model: nn.Module, images: ImageSet, mark: Mark | None, layer: str, shown: str, file: Path
    ) -> None:
        say(f"measuring: {file.stem}")
        pool = images.marked(images.pool()[: self.pool], mark)
        torch.manual_seed(0)  # of dropout that was left on
        measure(model, pool, layer, shown, images.num_classes).save(file)

    def _made(self, kind: Kind, images: ImageSet, seed: int) -> nn.Module:
        if kind.lesson is None:
            return untrained(kind.architecture, images, seed)
        model = self._trained(kind.architecture, kind.lesson, images, seed)
        if kind.change:
            kind.change(model, ARCHITECTURES[kind.architecture].head, seed)
        return model.eval()

    def _trained(self, architecture: str, lesson: Lesson, images: ImageSet, seed: int) -> nn.Module:
        """Several kinds are made of the same trained network."""
        file = self.folder / "weights" / f"{images.name} {architecture} {lesson.name} {seed}.pt"
        model = untrained(architecture, images, seed)
        if file.exists():
            model.load_state_dict(torch.load(file, weights_only=True))
            return model
        say(f"training: {file.stem}")
        steps = max(1, round(self.effort * lesson.steps(architecture, images)))
        data = lesson.of(images.learned(seed), images, seed)
        train(model, data, peak=ARCHITECTURES[architecture].peak, steps=steps, shifted=images.shifted, seed=seed)
        file.parent.mkdir(parents=True, exist_ok=True)
        unfinished = file.with_suffix(".unfinished")
        torch.save(model.state_dict(), unfinished)
        os.replace(unfinished, file)
        return model
