"""A split of a team's own function, whose classes are named after what the function saw of its process."""

import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import TensorDataset


class Seen(TensorDataset):
    """Two images."""

    def __init__(self, *classes: str) -> None:
        super().__init__(torch.arange(32).reshape(2, 1, 4, 4) / 32, torch.tensor([0, 1]))
        self.classes = classes


def split(variable: str) -> Any:
    """Named after a variable of the environment, and the directory."""
    logging.getLogger("case_monitor.model").warning("reads its images")
    return Seen(os.environ.get(variable, "no variable"), str(Path.cwd()))


def descriptors() -> Any:
    """Named after what is open."""
    open_ = []
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):  # the one that the list was read by
            open_.append(os.readlink(f"/proc/self/fd/{number}"))
    return Seen(", ".join(sorted(place.partition(":")[0] for place in open_)), "others")


def ends() -> Any:
    """Does not come back."""
    os._exit(3)


def sleeps() -> Any:
    """Comes back when nobody waits any more."""
    time.sleep(600)


def strange() -> Any:
    """Says something that no line should hold."""
    raise ValueError("\x1b[31mred\x1b[0m\nhttps://me:secret@host")
