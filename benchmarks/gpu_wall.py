"""Whether a model that is shut in finds on the device what it finds where nothing confines it, and what that takes."""

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import nn

from benchmarks.gpu_networks import Effort, build, noise
from benchmarks.gpu_product import WITHOUT_SCORECAM, InMemory, Product, drawn_sample
from benchmarks.gpu_report import Section
from benchmarks.models import Architecture
from case_monitor.domain.isolation import Isolation
from case_monitor.isolation.confine.level import available, lacking
from case_monitor.isolation.confined_model import ConfinedModel
from case_monitor.isolation.model_files import ModelFiles
from case_monitor.isolation.servers import fork_server
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.explain import ExplainedPart

ABOUT = (
    "The product's job Explain without Score-CAM with the model in this process, and in a confined process of its own. "
    "first: seconds of the first call, for which the process starts, loads and warms the device up; again: of the "
    "second. differs: scores and maps that are not equal to the last bit."
)
_IMAGES = 16


class _Confined(Product):
    """The same work, by a model in a process of its own."""

    def __init__(self, files: ModelFiles, layer: str, source: InMemory, device: str, num_classes: int) -> None:
        super().__init__(nn.Identity(), layer, source, device, num_classes)
        self._files = files
        self._started: list[ConfinedModel] = []

    def _measured(self, conditions: Conditions) -> ConfinedModel:
        if not self._started:
            model = ConfinedModel(self._files, conditions.protocol, conditions.device, Isolation())
            self._started.append(model)
        return self._started[0]

    def end(self) -> None:
        for model in self._started:
            model.end()


def wall(section: Section, effort: Effort, device: str) -> None:
    section.note(level=available().value, lacking=lacking())
    begun = time.perf_counter()
    fork_server()
    for name, architecture in effort.small_networks.items():
        with section.attempt(name), _files(architecture) as files:
            held, confined = _product(architecture, device), _confined(files, architecture, device)
            count = 2 if effort.quick else _IMAGES
            sample = drawn_sample(held.predictions(count, count))
            parts, row = {}, {"network": name, "images": count}
            for way, product in (("held", held), ("confined", confined)):
                for call in ("first", "again"):
                    before = time.perf_counter()
                    parts[way] = product.explain(sample, WITHOUT_SCORECAM, count)
                    row[f"{way}_{call}_s"] = time.perf_counter() - before
            confined.end()
            row["differs"] = [
                name for a, b in zip(parts["held"], parts["confined"], strict=True) for name in _unlike(a, b)
            ]
            section.add(row)
            if row["differs"]:
                section.failed(name, f"differs: {row['differs']}")
    fork_server().close()
    section.note(seconds=time.perf_counter() - begun)


def _product(architecture: Architecture, device: str) -> Product:
    model = build(architecture, device)
    return Product(model, architecture.layer, _images(architecture), device, _classes(model, architecture, device))


def _confined(files: ModelFiles, architecture: Architecture, device: str) -> _Confined:
    classes = _classes(build(architecture, "cpu"), architecture, "cpu")
    return _Confined(files, architecture.layer, _images(architecture), device, classes)


def _images(architecture: Architecture) -> InMemory:
    return InMemory(noise(architecture, _IMAGES))


@torch.no_grad()
def _classes(model: nn.Module, architecture: Architecture, device: str) -> int:
    return int(model(noise(architecture, 1).to(device)).shape[1])


@contextmanager
def _files(architecture: Architecture) -> Iterator[ModelFiles]:
    """As a registry lays the network down."""
    with ExitStack() as held:
        folder = Path(held.enter_context(tempfile.TemporaryDirectory()))
        (folder / "data").mkdir()
        torch.save(build(architecture, "cpu"), folder / "data" / "model.pth")
        yield ModelFiles(folder, "the network", "data", "code", held=held.pop_all())


def _unlike(held: ExplainedPart, confined: ExplainedPart) -> Iterator[str]:
    for key, values in held.values.items():
        if not np.array_equal(values, confined.values[key], equal_nan=True):
            yield " ".join(key)
    for place, image in held.shown.items():
        for method, maps in image.maps.items():
            if not torch.equal(maps.cpu(), confined.shown[place].maps[method].cpu()):
                yield f"map {method} of image {place}"
