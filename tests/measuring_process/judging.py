"""A process that judges, in the middle of a measurement: says which processes work for it, and waits to be stopped."""

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import numpy as np

from case_monitor.domain.isolation import Isolation
from case_monitor.domain.protocol import Protocol
from case_monitor.isolation.servers import fork_server
from case_monitor.measuring_process.place import Way
from case_monitor.measuring_process.remote import RemoteLayer, RemotePlace
from case_monitor.settings import FunctionSplit, NpzSplit, Preprocessing

PROTOCOL = Protocol(methods=("case", "gradcam"), sample_size=24, batch_size=4)
GREY = Preprocessing(mean=(0.5,), std=(0.5,))
ISOLATION = Isolation(readable=(Path(__file__).parents[2],))
SLEEPS = FunctionSplit(kind="function", function="tests.measuring_process.surroundings:sleeps")
SIZE = 60


def blobs_file(folder: Path) -> NpzSplit:
    """60 grey images of three classes, as an archive."""
    from tests.support.sources import blobs

    source = blobs(SIZE, (0, 1, 2), noise=0.9)
    images = ((source.images[:, 0] + 3) * 32).clamp(0, 255).byte().numpy()
    np.savez(folder / "blobs.npz", images=images, labels=source.target)
    return NpzSplit(kind="npz", path=folder / "blobs.npz")


def several_file(folder: Path) -> NpzSplit:
    """The same images as if each were of another class, too, as it may be."""
    images = np.load(blobs_file(folder).path)
    rows = np.eye(3, dtype=np.uint8)[images["labels"]]
    rows[::3] = np.maximum(rows[::3], np.roll(rows[::3], 1, axis=1))
    np.savez(folder / "several.npz", images=images["images"], labels=rows)
    return NpzSplit(kind="npz", path=folder / "several.npz")


@contextmanager
def measuring(folder: Path) -> Iterator[tuple[RemotePlace, RemoteLayer]]:
    """A network at its layer, in a process of its own below one that measures."""
    from tests.isolation.networks import Network
    from tests.support.models_here import saved

    place = RemotePlace()
    images = place.open_split(blobs_file(folder)).prepared(None, GREY)
    measurer = images.measurer(saved(Network().eval()), PROTOCOL, ISOLATION, Way(shard_size=8))
    try:
        yield place, measurer.at("conv")
    finally:
        place.end()


def descendants(pid: int) -> list[int]:
    """Processes that it started, and those that they did."""
    children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return [*children, *(found for child in children for found in descendants(child))]


if __name__ == "__main__":
    with measuring(Path(tempfile.gettempdir())) as (place, layer):
        parts = layer.predict("predict")
        next(parts)
        process = fork_server()._process
        assert process is not None
        print(json.dumps([process.pid, *descendants(process.pid)]), flush=True)  # noqa: T201
        place._process.ask(None, "open_split", (SLEEPS,))
