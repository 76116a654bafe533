"""Images and versions in this process: the measuring process; and, where Ray measures, the one that judges."""

import shutil
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from case_monitor.dataset import RawSplit, load_split, prepare, read_image
from case_monitor.domain.arrays import BoolArray, IntArray
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.isolation import Isolation
from case_monitor.domain.progress import Progress, no_progress
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.split import Split
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.isolation.model_files import ModelFiles
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.device import describe_device, pick_device
from case_monitor.measuring.image_source import ImageSource
from case_monitor.measuring.local import Bench, LocalMeasurer
from case_monitor.measuring.workers.threads import Threads
from case_monitor.measuring_process.first_image import Contrast, shown, tried
from case_monitor.measuring_process.place import Way
from case_monitor.settings import Preprocessing, SplitSpec


class LocalPlace:
    """`Place`: this process."""

    torch_version = torch.__version__

    def __init__(self, progress: Progress = no_progress) -> None:
        self._progress = progress

    def pick_device(self, asked: str) -> str:
        return pick_device(asked)

    def describe_device(self, asked: str) -> str:
        """What there is to say about a device."""
        return describe_device(asked)

    def open_split(self, spec: SplitSpec) -> "LocalSplit":
        return LocalSplit(raw=load_split(spec), progress=self._progress)

    def open_image(self, path: Path) -> "LocalSplit":
        """One image file, as a split."""
        return LocalSplit(raw=read_image(path), progress=self._progress)

    def see_that_it_loads(self, files: ModelFiles, protocol: Protocol, device: str, isolation: Isolation) -> None:
        """Load a version."""
        model = ConfinedModel(files, protocol, device, isolation)
        try:
            model.load()
        finally:
            model.end()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalSplit:
    """`OpenedSplit`."""

    raw: RawSplit
    progress: Progress = no_progress

    @property
    def about(self) -> tuple[str, int, int | None]:
        names = self.raw.class_names
        return self.raw.name, len(self.raw.sample_ids), None if names is None else len(names)

    def owns(self, folder: Path) -> None:
        weakref.finalize(self.raw.images, shutil.rmtree, folder, ignore_errors=True)

    def prepared(
        self,
        class_names: Sequence[str] | None,
        preprocessing: Preprocessing | None,
        num_workers: int = 0,
        class_map: Mapping[str, str] | None = None,
    ) -> "LocalImages":
        split, source = prepare(self.raw, class_names, preprocessing, num_workers, class_map)
        return LocalImages(split=split, source=source, progress=self.progress)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalImages:
    """`Images`."""

    split: Split
    source: ImageSource
    progress: Progress = no_progress

    @property
    def sample_ids(self) -> tuple[str, ...]:
        return self.source.sample_ids

    @property
    def target(self) -> IntArray:
        return self.source.target

    @property
    def excluded(self) -> BoolArray | None:
        return self.source.excluded

    @property
    def excluded_bytes(self) -> npt.NDArray[np.uint8] | None:
        """The same, as it travels."""
        return None if self.excluded is None else self.excluded.astype(np.uint8)

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(next(self.source.batches([0], 1)).shape[1:])

    def measurer(self, files: ModelFiles, protocol: Protocol, isolation: Isolation, way: Way) -> LocalMeasurer:
        bench = Bench(device=way.device, workers=Threads(way.workers), shard_size=way.shard_size, progress=way.progress)
        return self.measurer_at(files, protocol, isolation, bench)

    def measurer_of(
        self, files: ModelFiles, protocol: Protocol, isolation: Isolation, device: str, workers: int, shard_size: int
    ) -> LocalMeasurer:
        """The same for another process, which is told by this one how far work is."""
        way = Way(device=device, workers=workers, shard_size=shard_size, progress=self.progress)
        return self.measurer(files, protocol, isolation, way)

    def measurer_at(self, files: ModelFiles, protocol: Protocol, isolation: Isolation, bench: Bench) -> LocalMeasurer:
        """The same where other workers work."""
        model = ConfinedModel(files, protocol, bench.device, isolation, self.split.groups)
        num_classes = self.split.num_classes
        conditions = Conditions(source=self.source, num_classes=num_classes, protocol=protocol, device=bench.device)
        return LocalMeasurer(model=model, conditions=conditions, bench=bench)

    def shown(
        self,
        files: ModelFiles,
        protocol: Protocol,
        contrast: Contrast | None,
        isolation: Isolation,
        groups: tuple[int, ...] = (),
        num_classes: int | None = None,
    ) -> Gallery:
        """The first image, explained for a person."""
        model = ConfinedModel(files, protocol, pick_device("cpu"), isolation, groups)
        return shown(self.source, model, protocol, contrast, num_classes)

    def tried(
        self, files: ModelFiles, protocol: Protocol, device: str, isolation: Isolation
    ) -> tuple[tuple[int, ...], str]:
        """What a version makes of the first image: the shape of its logits; and its target layer."""
        return tried(self.source, ConfinedModel(files, protocol, device, isolation, self.split.groups), protocol)
