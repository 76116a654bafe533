"""Precision, peak memory and races on a device."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch

from benchmarks.gpu_networks import Row
from benchmarks.timing import Contender, Round, Work, contender, finish, race
from case_monitor.saliency.fallback import warn_once

PRECISIONS = {"TF32 off": (False, False), "torch's default": (False, True), "TF32 on": (True, True)}
"""Of matrix products, and of convolutions. By default torch rounds to TF32 in convolutions only."""
DEFAULT = "torch's default"
_LEAST_SECONDS = 0.1  # of a measurement: a GPU is not shared as a machine is


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Whether float32 may be rounded to TF32, while this lasts; nothing on a CPU."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32, cudnn.allow_tf32 = PRECISIONS[name]
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before


class _Kept(logging.Handler):
    """Keeps warnings in a list."""

    def __init__(self, messages: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._messages = messages

    def emit(self, record: logging.LogRecord) -> None:
        self._messages.append(record.getMessage())


@contextmanager
def told() -> Iterator[list[str]]:
    """What the product warns of while this lasts: a fast way that it left for a slow one."""
    messages: list[str] = []
    handler = _Kept(messages)
    warn_once.cache_clear()  # or what was said of another network is not said again
    log = logging.getLogger("case_monitor")
    log.addHandler(handler)
    try:
        yield messages
    finally:
        log.removeHandler(handler)


def timed(name: str, work: Work, images: int, *, slow: bool = False) -> Contender:
    """A contender for a device, warmed up whatever it takes: the first call of a kernel loads it."""
    return contender(name, work, images, slow=slow, warm=True, least=_LEAST_SECONDS)


def warmed_up(contenders: Sequence[Contender], device: str) -> tuple[list[Contender], dict[str, float | None]]:
    """The contenders after their first calls, and the MiB of the device that each of them took, tensors only."""
    peaks: dict[str, float | None] = {}
    for c in contenders:
        reset_peak(device)
        if c.warm_up is not None:
            c.warm_up()
        peaks[c.name] = peak_mib(device)
    return [replace(c, warm_up=None) for c in contenders], peaks


def raced(contenders: Sequence[Contender], rounds: int, title: str) -> list[Round]:
    """Seconds per image in every round, of which those that are slow take part in one."""
    return race(contenders, rounds, 1, title)


def spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": float(np.median(values)), "least": min(values), "most": max(values)}


def timed_row(name: str, took: Sequence[Round], unit: str) -> Row:
    """Milliseconds and images per second, and what that is in forward passes of the same rounds."""
    both = [(r[name], r[unit]) for r in took if name in r and unit in r]
    own = [seconds for seconds, _ in both]
    return {
        "what": name,
        "ms_per_image": {key: round(1e3 * value, 5) for key, value in spread(own).items()},
        "images_per_s": 1 / float(np.median(own)),
        "F": float(np.median([seconds / forward for seconds, forward in both])),
        "rounds": len(both),
    }


def reset_peak(device: str) -> None:
    if device == "cuda":
        finish()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_mib(device: str) -> float | None:
    if device != "cuda":
        return None
    finish()
    return torch.cuda.max_memory_allocated() / 2**20
