"""What tests of models in processes of their own share: how they are shut in, and what stays behind."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from case_monitor.domain.isolation import Isolation, Limits
from case_monitor.domain.protocol import Protocol
from case_monitor.isolation.confined_model import ConfinedModel
from tests.support.models_here import saved

ROOT = Path(__file__).parents[2]
ISOLATION = Isolation(readable=(ROOT,))
IMPATIENT = Isolation(
    readable=(ROOT,), silence_s=1.5, total_s=4, limits=Limits(memory_bytes=1 << 30, file_bytes=1 << 24)
)
IMAGE = torch.ones(1, 1, 4, 4)


@contextmanager
def confined(
    model: nn.Module, isolation: Isolation = ISOLATION, protocol: Protocol | None = None
) -> Iterator[ConfinedModel]:
    """The model in a process of its own."""
    process = ConfinedModel(saved(model), protocol or Protocol(), "cpu", isolation)
    try:
        yield process
    finally:
        process.end()


def predicted(model: ConfinedModel, images: int = 1) -> torch.Tensor:
    """Its logits for as many images, one in a batch."""
    batches = model.predict(IMAGE, iter([IMAGE] * images), "conv")
    return (
        torch.from_numpy(next(batches).logits)
        if images == 1
        else torch.cat([torch.from_numpy(b.logits) for b in batches])
    )


def left_behind() -> set[str]:
    """Open descriptors, and folders of models."""
    folders = {str(path) for path in Path(tempfile.gettempdir()).glob("case-monitor-*")}
    return folders | {f"descriptor {name}" for name in os.listdir("/proc/self/fd") if _is_open(int(name))}


def _is_open(descriptor: int) -> bool:
    """Not the one that the list was read by."""
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def is_running(pid: int) -> bool:
    """Whether a process is there, and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
