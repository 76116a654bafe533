"""What is asked about images and versions, wherever that is answered. Nothing here imports torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from case_monitor.domain.arrays import BoolArray, IntArray
from case_monitor.domain.isolation import Isolation
from case_monitor.domain.progress import Progress, no_progress
from case_monitor.domain.protocol import DEFAULT_SHARD_SIZE
from case_monitor.domain.protocol import Protocol as MeasuringProtocol
from case_monitor.domain.split import Split
from case_monitor.isolation.model_files import ModelFiles
from case_monitor.judging.measurer import Measurer
from case_monitor.settings import Preprocessing, SplitSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How work is done: no number depends on it, but for rounding.

    Attributes:
        device: torch device, to which models are moved.
        workers: threads, each with a process for the model.
        shard_size: images in a shard.
        progress: called as work goes on.
    """

    device: str = "cpu"
    workers: int = 1
    shard_size: int = DEFAULT_SHARD_SIZE
    progress: Progress = no_progress


class Images(Protocol):
    """The images of a split as one version wants them."""

    @property
    def split(self) -> Split:
        """Their identity, in the version's order of classes."""
        ...

    @property
    def sample_ids(self) -> tuple[str, ...]:
        """(N,) their names."""
        ...

    @property
    def target(self) -> IntArray:
        """(N,) their classes, in that order."""
        ...

    @property
    def excluded(self) -> BoolArray | None:
        """(N, num_classes) classes that each is of, too; None: each is of one."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of the first, prepared."""
        ...

    def measurer(self, files: ModelFiles, protocol: MeasuringProtocol, isolation: Isolation, way: Way) -> Measurer:
        """Measures a version on them, in processes of its own."""
        ...

    def tried(
        self, files: ModelFiles, protocol: MeasuringProtocol, device: str, isolation: Isolation
    ) -> tuple[tuple[int, ...], str]:
        """What a version makes of the first: the shape of its logits; and its target layer."""
        ...


class OpenedSplit(Protocol):
    """A split that was read."""

    @property
    def about(self) -> tuple[str, int, int | None]:
        """Its name, how many images it has, and how many classes it names; None: it names none."""
        ...

    def owns(self, folder: Path) -> None:
        """Delete this folder with the images, which are read from there."""
        ...

    def prepared(
        self,
        class_names: Sequence[str] | None,
        preprocessing: Preprocessing | None,
        num_workers: int = 0,
        class_map: Mapping[str, str] | None = None,
    ) -> Images:
        """The images for one version: `case_monitor.dataset.prepare`."""
        ...


class Place(Protocol):
    """Where images are read, and versions measured."""

    @property
    def torch_version(self) -> str:
        """With which that is done."""
        ...

    def pick_device(self, asked: str) -> str:
        """The device to use for "auto", else what was asked for."""
        ...

    def open_split(self, spec: SplitSpec) -> OpenedSplit:
        """Read a split that is on this machine."""
        ...
