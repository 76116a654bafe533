"""What torch's profiler and Python's say about a piece of work on a device."""

import cProfile
import pstats
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile

from benchmarks.timing import finish

ABOUT = (
    "seconds: of the work, unwatched. device_busy: share of those of a watched run between its first and last kernel "
    "in which one ran. calls: of the driver's interface. kernels: the ten that took the device longest, in ms. host: "
    "the fifteen functions in which the host's own time went (waiting for the device counts), in ms."
)
_CALLS = ("cudaMemcpyAsync", "cudaStreamSynchronize", "cudaLaunchKernel", "cuLaunchKernel", "cudaMalloc")
_COPIES = ("Memcpy DtoH", "Memcpy HtoD", "Memcpy DtoD")
_SHOWN_KERNELS, _SHOWN_FUNCTIONS = 10, 15


def profiled(work: Callable[[], object], device: str) -> dict[str, Any]:
    found: dict[str, Any] = {"seconds": _seconds(work), "host": _host(work)}
    return found | _device(work) if device == "cuda" else found


def _seconds(work: Callable[[], object]) -> float:
    finish()
    start = time.perf_counter()
    work()
    finish()
    return round(time.perf_counter() - start, 4)


def _device(work: Callable[[], object]) -> dict[str, Any]:
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as seen:
        work()
        finish()
    events = seen.events() or ()
    kernels = [e for e in events if e.device_type == DeviceType.CUDA]
    host = [e.name for e in events if e.device_type == DeviceType.CPU]
    spans = [(e.time_range.start, e.time_range.end) for e in kernels]
    return {
        "device_busy": _busy(spans),
        "calls": {call: sum(name.startswith(call) for name in host) for call in _CALLS},
        "copies": {kind: sum(e.name.startswith(kind) for e in kernels) for kind in _COPIES},
        "kernels": _longest(kernels),
    }


def _busy(spans: Iterable[tuple[float, float]]) -> float | None:
    """Share of the time from the first start to the last end that some span covers."""
    covered, reached, first = 0.0, None, None
    for start, end in sorted(spans):
        first = start if first is None else first
        reached = start if reached is None else max(reached, start)
        covered += max(0.0, end - reached)
        reached = max(reached, end)
    if first is None or reached is None or reached <= first:
        return None
    return round(covered / (reached - first), 3)


def _longest(kernels: Iterable[Any]) -> dict[str, float]:
    took: Counter[str] = Counter()
    for kernel in kernels:
        took[kernel.name[:90]] += kernel.time_range.elapsed_us() / 1e3
    return {name: round(ms, 2) for name, ms in took.most_common(_SHOWN_KERNELS)}


def _host(work: Callable[[], object]) -> dict[str, float]:
    watch = cProfile.Profile()
    watch.runcall(work)
    stats = pstats.Stats(watch).stats  # function -> calls, ..., own time, total, callers
    own = sorted(((row[2], row[0], place) for place, row in stats.items()), key=lambda item: item[0], reverse=True)
    return {_named(place, calls): round(1e3 * seconds, 2) for seconds, calls, place in own[:_SHOWN_FUNCTIONS]}


def _named(place: tuple[str, int, str], calls: int) -> str:
    """Without the directories of this machine."""
    path, line, function = place
    return f"{'/'.join(Path(path).parts[-2:])}:{line} {function}, {calls} calls"
