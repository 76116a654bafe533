"""The measuring side as the judging side reaches it: each call is answered in the measuring process."""

import shutil
import weakref
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

from case_monitor.domain.arrays import BoolArray, FloatArray, IntArray
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.errors import EngineError
from case_monitor.domain.gallery import Gallery
from case_monitor.domain.isolation import Isolation
from case_monitor.domain.methods import drift_methods
from case_monitor.domain.predictions import PredictedPart
from case_monitor.domain.progress import Progress
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import Sample
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.split import Split
from case_monitor.isolation.model_files import ModelFiles
from case_monitor.measuring_process.arrival import agreement, classes, excluded_classes, explained, of_kind, require
from case_monitor.measuring_process.arrival import part as predicted_part
from case_monitor.measuring_process.place import Way
from case_monitor.measuring_process.process import Held, MeasuringProcess
from case_monitor.settings import FunctionSplit, Preprocessing, SplitSpec

Contrast = Mapping[int, Mapping[int, float]]


class RemotePlace:
    """`Place`: a measuring process, which knows the environment only where it runs the team's own code."""

    def __init__(self, spec: SplitSpec | None = None) -> None:
        self._process = MeasuringProcess(own_code=isinstance(spec, FunctionSplit))

    @property
    def torch_version(self) -> str:
        return self._process.torch_version or str(self._ask("torch_version"))

    def pick_device(self, asked: str) -> str:
        return str(self._ask("pick_device", asked))

    def describe_device(self, asked: str) -> str:
        """What there is to say about a device."""
        return str(self._ask("describe_device", asked))

    def open_split(self, spec: SplitSpec) -> "RemoteSplit":
        return RemoteSplit(self._ask("open_split", spec))

    def open_image(self, path: Path) -> "RemoteSplit":
        """One image file, as a split."""
        return RemoteSplit(self._ask("open_image", path))

    def see_that_it_loads(self, files: ModelFiles, protocol: Protocol, device: str, isolation: Isolation) -> None:
        """Load a version."""
        self._ask("see_that_it_loads", files, protocol, device, isolation)

    def end(self) -> None:
        """End the process."""
        self._process.end()

    def _ask(self, name: str, *given: Any) -> Any:
        return self._process.ask(None, name, given)


class RemoteSplit:
    """`OpenedSplit`: a split that is held there."""

    def __init__(self, held: Held) -> None:
        self._held = held

    def owns(self, folder: Path) -> None:
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)

    @cached_property
    def about(self) -> tuple[str, int, int | None]:
        name, size, named = of_kind(tuple, self._held.ask("about"))
        return of_kind(str, name), of_kind(int, size), None if named is None else of_kind(int, named)

    def prepared(
        self,
        class_names: Sequence[str] | None,
        preprocessing: Preprocessing | None,
        num_workers: int = 0,
        class_map: Mapping[str, str] | None = None,
    ) -> "RemoteImages":
        given = class_names, preprocessing, num_workers, class_map
        return RemoteImages(self._held.ask("prepared", *given), self)


class RemoteImages:
    """`Images`: they are held there."""

    def __init__(self, held: Held, of: RemoteSplit) -> None:
        self._held, self._of = held, of

    @cached_property
    def split(self) -> Split:
        return of_kind(Split, self._held.ask("split"))

    @cached_property
    def sample_ids(self) -> tuple[str, ...]:
        came = of_kind(tuple, self._held.ask("sample_ids"))
        require(len(came) == self.split.size, f"{self.split.size} names of images were expected, {len(came)} came")
        return came

    @cached_property
    def target(self) -> IntArray:
        return classes(self._held.ask("target"), self.split)

    @cached_property
    def excluded(self) -> BoolArray | None:
        return excluded_classes(self._held.ask("excluded_bytes"), self.target, self.split)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        return of_kind(tuple, self._held.ask("shape"))

    def measurer(self, files: ModelFiles, protocol: Protocol, isolation: Isolation, way: Way) -> "RemoteMeasurer":
        given = files, protocol, isolation, way.device, way.workers, way.shard_size
        return RemoteMeasurer(self._held.ask("measurer_of", *given), way, protocol, files)

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
        return of_kind(Gallery, self._held.ask("shown", files, protocol, contrast, isolation, groups, num_classes))

    def tried(
        self, files: ModelFiles, protocol: Protocol, device: str, isolation: Isolation
    ) -> tuple[tuple[int, ...], str]:
        """What a version makes of the first image: the shape of its logits; and its target layer."""
        shape, layer = of_kind(tuple, self._held.ask("tried", files, protocol, device, isolation))
        return of_kind(tuple, shape), of_kind(str, layer)


class RemoteMeasurer:
    """`Measurer`: of a version whose files stay as long as this does."""

    def __init__(self, held: Held, way: Way, protocol: Protocol, files: ModelFiles) -> None:
        self._held, self._way, self._protocol, self._files = held, way, protocol, files

    @property
    def torch_version(self) -> str:
        return self._held.process.torch_version

    @property
    def device(self) -> str:
        return self._way.device

    def at(self, target_layer: str, known: bool = False) -> "RemoteLayer":
        held = self._held.ask("at", target_layer, known, progress=self._way.progress)
        return RemoteLayer(held, self._protocol, self._way.progress)

    def layers(self) -> tuple[str, ...]:
        found = of_kind(tuple, self._held.ask("layers"))
        return tuple(of_kind(str, name) for name in found)

    def under(self, protocol: Protocol) -> "RemoteMeasurer":
        return RemoteMeasurer(self._held.ask("under", protocol), self._way, protocol, self._files)

    def with_pixels(self, indices: IntArray, donors: IntArray, pixels: IntArray) -> "RemoteMeasurer":
        held = self._held.ask("with_pixels", indices, donors, pixels)
        return RemoteMeasurer(held, self._way, self._protocol, self._files)

    def of_images(self, indices: Sequence[int]) -> "RemoteMeasurer":
        held = self._held.ask("of_images", tuple(map(int, indices)))
        return RemoteMeasurer(held, self._way, self._protocol, self._files)

    def end(self) -> None:
        with suppress(EngineError):  # it is gone, and the model with it
            self._held.ask("end")


class RemoteLayer:
    """`LayerMeasurer`."""

    def __init__(self, held: Held, protocol: Protocol, progress: Progress) -> None:
        self._held, self._protocol, self._progress = held, protocol, progress

    @cached_property
    def layer(self) -> str:
        return of_kind(str, self._held.ask("layer"))

    @cached_property
    def outputs(self) -> str:
        return of_kind(str, self._held.ask("outputs"))

    @cached_property
    def isolation(self) -> str | None:
        came = self._held.ask("isolation")
        return None if came is None else of_kind(str, came)

    def predict(self, stage: str) -> Generator[PredictedPart]:
        return self._parts("predict", stage)

    def predict_pairs(self, indices: IntArray, stage: str) -> Generator[PredictedPart]:
        return self._parts("predict_pairs", indices, stage)

    def explain(
        self, contrast_sets: ContrastSets, sample: Sample, shown: str, stage: str
    ) -> tuple[SampleScores, Gallery]:
        came = self._held.ask("explain", contrast_sets, sample, shown, stage, progress=self._progress)
        return explained(came, sample)

    def map_agreement(
        self, contrast_sets: ContrastSets, baseline: "RemoteLayer", baseline_sets: ContrastSets, indices: IntArray
    ) -> dict[str, FloatArray]:
        given = contrast_sets, baseline._held, baseline_sets, indices
        came = self._held.ask("map_agreement", *given, progress=self._progress)
        return agreement(came, drift_methods(self._protocol), len(indices))

    def _parts(self, name: str, *given: object) -> Generator[PredictedPart]:
        """One after the other, each when it is wanted."""
        stream: Held = self._held.ask(name, *given)
        try:
            while (part := stream.ask("__next__", progress=self._progress)) is not None:
                yield predicted_part(part)
        finally:
            with suppress(EngineError):
                stream.ask("close")
