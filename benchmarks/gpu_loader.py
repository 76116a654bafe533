"""How fast images come from a folder of JPEGs through the product's own reading, and what is left of a GPU's rate."""

import importlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.gpu_busy import Busy, watched
from benchmarks.gpu_networks import Effort, Row, build, subject
from benchmarks.gpu_product import WITHOUT_SCORECAM, InMemory, Product, Repeated, drawn_sample
from benchmarks.gpu_report import Section
from benchmarks.models import Subject
from case_monitor.domain.predictions import Predictions
from case_monitor.measuring.image_source import ImageSource

ABOUT = (
    "JPEGs of 500 x 375 pixels in folders by class, read by case_monitor.dataset (resize 256, crop 224), which starts "
    "its processes anew for each pass. first_batch_s: until the first batch is there. images_per_s: "
    "over the later half of the batches, when what was read ahead is used up. gpu_busy: mean of the driver's samples "
    "over that time. Workers null: images in the host's memory."
)
_WIDTH, _HEIGHT, _QUALITY, _CLASSES, _DRAWN = 500, 375, 90, 10, 32
_IMAGES_PER_WORKER = 300
_FEWEST_BATCHES = 4


def loader(section: Section, effort: Effort, device: str) -> None:
    with tempfile.TemporaryDirectory() as directory:
        section.note(jpeg_kb=_write_jpegs(Path(directory), effort.jpegs) / 1e3, jpegs=effort.jpegs)
        for workers in effort.workers:
            with section.attempt(f"loader, {workers} workers"):
                source = _folder(Path(directory), workers, effort)
                section.add(
                    {"what": "loader", "workers": workers, "batch": effort.read_batch, **_read(source, workers, effort)}
                )
        _jobs(section, Path(directory), effort, device)


def _write_jpegs(directory: Path, count: int) -> float:
    """Bytes of one. Noise over something smooth is as large as a photograph; no two files are equal."""
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(min(_DRAWN, count)):
        smooth = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)).resize((_WIDTH, _HEIGHT))
        grain = rng.normal(0, 14, (_HEIGHT, _WIDTH, 3))
        drawn.append(np.clip(np.asarray(smooth) + grain, 0, 255).astype(np.uint8))
    for i in range(count):
        folder = directory / f"class {i % _CLASSES}"
        folder.mkdir(exist_ok=True)
        image = np.roll(drawn[i % len(drawn)], i, axis=1)
        Image.fromarray(image).save(folder / f"{i:05d}.jpg", quality=_QUALITY)
    return float(np.mean([file.stat().st_size for file in directory.glob("*/*.jpg")]))


def _folder(directory: Path, workers: int, effort: Effort) -> ImageSource:
    """The product's own source; its settings need pydantic, which not every machine with a GPU has."""
    dataset, settings = (importlib.import_module(f"case_monitor.{name}") for name in ("dataset", "settings"))
    raw = dataset.load_split(settings.ImageFolderSplit(kind="image_folder", path=directory))
    side = 32 if effort.quick else 224
    preprocessing = settings.Preprocessing(resize=side * 8 // 7, crop=side, **_grey(effort))
    _, source = dataset.prepare(raw, None, preprocessing, workers)
    return source


def _grey(effort: Effort) -> dict[str, tuple[float]]:
    return {"mean": (0.5,), "std": (0.3,)} if effort.quick else {}


def _read(source: ImageSource, workers: int, effort: Effort) -> Row:
    """Reads as many images as keep every worker busy for a while."""
    total = len(source.sample_ids) if effort.quick else _IMAGES_PER_WORKER * max(1, workers)
    clock = _Clock()
    for images in Repeated(source, total).batches(range(total), effort.read_batch):
        clock.add(len(images))
    return {"images": total, **clock.found()}


class _Clock:
    """When batches came."""

    def __init__(self, busy: Busy | None = None) -> None:
        self._busy, self._started, self._moments = busy, time.perf_counter(), [(0.0, 0)]

    def add(self, images: int) -> None:
        self.reached(self._moments[-1][1] + images)

    def reached(self, done: int) -> None:
        """So many images are done in all; what is told twice counts once."""
        if done > self._moments[-1][1]:
            self._moments.append((time.perf_counter(), done))

    def found(self) -> Row:
        later = self._moments[1 + (len(self._moments) - 1) // 2 :]
        (start, before), (end, done) = later[0], later[-1]
        return {
            "first_batch_s": self._moments[1][0] - self._started,
            "images_per_s": (done - before) / (end - start) if end > start else None,
            "gpu_busy": self._busy.share(start, end) if self._busy else None,
        }


def _jobs(section: Section, directory: Path, effort: Effort, device: str) -> None:
    name, architecture = effort.first_network
    of = subject(name, architecture, build(architecture, device), device, 4 if effort.quick else 0)
    for workers in (None, effort.job_workers):
        with section.attempt(f"jobs, {workers} workers"):
            source = InMemory(of.images.cpu()) if workers is None else _folder(directory, workers, effort)
            for kind, found in _timed_jobs(of, source, workers, device):
                section.add({"network": name, "what": kind, "workers": workers, "batch": len(of.images), **found})


def _timed_jobs(of: Subject, source: ImageSource, workers: int | None, device: str) -> Iterator[tuple[str, Row]]:
    batch = len(of.images)
    fewest, most = (batch * batches for batches in _batches(batch, workers))
    product = Product(of.model, of.architecture.layer, Repeated(source, most), device, of.num_classes)
    with _busily() as clock:
        preds = product.predictions(most, batch, clock.reached)
    yield "predict", {"images": most, **clock.found()}
    few = Predictions(sample_ids=preds.sample_ids[:fewest], logits=preds.logits[:fewest], target=preds.target[:fewest])
    sample = drawn_sample(few)
    with _busily() as clock:
        product.explain(sample, WITHOUT_SCORECAM, batch, lambda done: clock.reached(done // batch * batch))
    yield "suite without Score-CAM", {"images": fewest, **clock.found()}


def _batches(batch: int, workers: int | None) -> tuple[int, int]:
    """To explain and to predict: enough for the driver to see, and more than workers read ahead."""
    if workers is None:
        return _FEWEST_BATCHES, 6 * _FEWEST_BATCHES
    return _FEWEST_BATCHES, max(_FEWEST_BATCHES, -(-_IMAGES_PER_WORKER * workers // batch))


@contextmanager
def _busily() -> Iterator[_Clock]:
    with watched() as busy:
        yield _Clock(busy)
