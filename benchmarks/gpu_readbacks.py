"""Where the host waits for the device inside a batch of the product's jobs, by source line."""

import linecache
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import gpu_profile
from benchmarks.gpu_networks import Effort, build, subject
from benchmarks.gpu_product import SUITE, WITHOUT_SCORECAM, InMemory, Product, drawn_sample
from benchmarks.gpu_report import Section

ABOUT = (
    "One batch of each job, of images in the host's memory, after one that is not looked at. waits: calls at which "
    "torch says that the host waits for the device (copies in either direction among them), by line of case_monitor; "
    "null without a GPU. reads: operators whose result the host needs to go on, by line, on any device. profile: said "
    "beside."
)
_PACKAGE = str(Path(sys.modules["case_monitor"].__path__[0]))
_READS = {"_local_scalar_dense", "nonzero", "is_nonzero", "equal", "masked_select", "unique", "_unique2"}
_INDEXING = {"index", "index_put_", "_index_put_impl_"}
Work = Callable[[], object]


def readbacks(section: Section, effort: Effort, device: str) -> None:
    section.note(profile=gpu_profile.ABOUT)
    name, architecture = effort.first_network
    of = subject(name, architecture, build(architecture, device), device, 4 if effort.quick else 0)
    product = Product(of.model, of.architecture.layer, InMemory(of.images.cpu()), device, of.num_classes)
    count = len(of.images)
    sample, few = (drawn_sample(product.predictions(n, count)) for n in (count, 1))
    jobs: dict[str, tuple[int, Work]] = {
        "predict": (count, lambda: product.predictions(count, count)),
        "suite without Score-CAM": (count, lambda: product.explain(sample, WITHOUT_SCORECAM, count)),
        "suite": (1, lambda: product.explain(few, SUITE, count)),
    }
    for job, (images, work) in jobs.items():
        with section.attempt(job):
            work()
            section.add({"network": name, "what": job, "images": images, "batch": count, **_looked_at(work, device)})


def _looked_at(work: Work, device: str) -> dict[str, Any]:
    waits = None if device != "cuda" else _lines(work, _waiting)
    return {"waits": waits, "reads": _lines(work, _reading), "profile": gpu_profile.profiled(work, device)}


def _lines(work: Work, watch: Callable[[Counter[str]], Any]) -> dict[str, Any]:
    lines: Counter[str] = Counter()
    with watch(lines):
        work()
    return {"total": lines.total(), "lines": dict(lines.most_common())}


@contextmanager
def _waiting(lines: Counter[str]) -> Iterator[None]:
    """torch's own warnings of calls that wait."""

    def note(message: Any, *_others: Any, **_more: Any) -> None:
        if "called a synchronizing" in str(message):
            lines[_line()] += 1

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield
        finally:
            torch.cuda.set_sync_debug_mode("default")


@contextmanager
def _reading(lines: Counter[str]) -> Iterator[None]:
    with _Reads(lines):
        yield


class _Reads(TorchDispatchMode):
    """Counts operators whose result decides what the host does next: numbers, shapes, copies between devices."""

    def __init__(self, lines: Counter[str]) -> None:
        super().__init__()
        self._lines = lines

    def __torch_dispatch__(
        self, func: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        output = func(*args, **(kwargs or {}))
        name = func.__name__.partition(".")[0]
        if name in _READS or (name in _INDEXING and _by_mask(args)) or _moves(args, output):
            self._lines[f"{name}: {_line()}"] += 1
        return output


def _by_mask(args: tuple[Any, ...]) -> bool:
    """Indexing by a mask first looks how many places it has."""
    return any(isinstance(i, Tensor) and i.dtype in {torch.bool, torch.uint8} for i in args[1] or ())


def _moves(args: tuple[Any, ...], output: Any) -> bool:
    devices = {t.device.type for t in pytree.tree_leaves((args, output)) if isinstance(t, Tensor) and t.ndim}
    return len(devices) > 1


def _line() -> str:
    """The innermost line of the product that is running, with its text."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and not frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back
    if frame is None:
        return "outside the product"
    name, number = frame.f_code.co_filename, frame.f_lineno
    place = Path(name).relative_to(Path(_PACKAGE).parent).as_posix()
    return f"{place}:{number} {frame.f_code.co_name}: {linecache.getline(name, number).strip()}"
