"""A disk that is full from a point on, or cannot be written: that of everything, or that of temporary files."""

import subprocess
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

from tests.faults.lab import SQLITE, Lab
from tests.faults.promises import Broken
from tests.faults.small_disks import small_disk
from tests.faults.trials import Fault, Trial
from tests.faults.world import World
from tests.support.commands import Ran

EVERYTHING, TEMPORARY = ".", "tmp"


def full(lab: Lab, trial: Trial, *, place: str) -> Iterable[Broken]:
    """No byte is left from a point on; then somebody makes room."""
    at = trial.one_of(len(lab.unstruck(SQLITE).points))

    def strike(world: World) -> Ran:
        disk = world.folder / place
        ran = world.gate({"at": at, "deed": "fill", "folder": str(disk)})
        (disk / "ballast").unlink(missing_ok=True)
        return ran

    return _on_a_small_disk(lab, strike, place, at)


def read_only(lab: Lab, trial: Trial, *, place: str) -> Iterable[Broken]:
    """Nothing can be written; then it can."""

    def strike(world: World) -> Ran:
        world.temporary.mkdir(exist_ok=True)
        disk = world.folder / place
        _remount(disk, "ro")
        ran = world.gate()
        _remount(disk, "rw")
        return ran

    return _on_a_small_disk(lab, strike, place, None)


def _on_a_small_disk(lab: Lab, strike: Callable[[World], Ran], place: str, at: int | None) -> Iterable[Broken]:
    point = "" if at is None else lab.unstruck(SQLITE).points[at]
    for broken in lab.struck(strike, SQLITE, disk=lambda folder: small_disk(folder / place)):
        yield Broken(broken.promise, f"at {point}: {broken.how}")


def _remount(disk: Path, how: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{how}", str(disk)], check=True)


FAULTS = (
    Fault(name="disk full from a point on: database, MLflow's files, temporary ones", short=1, long=20,
          strike=partial(full, place=EVERYTHING), needs_root=True),
    Fault(name="disk of temporary files full from a point on", long=10,
          strike=partial(full, place=TEMPORARY), needs_root=True),
    Fault(name="disk read-only: database, MLflow's files, temporary ones", long=2,
          strike=partial(read_only, place=EVERYTHING), needs_root=True),
)  # fmt: skip
