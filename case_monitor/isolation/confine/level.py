"""How far this machine can shut a process in, and doing it."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from case_monitor.domain.errors import ConfinementError
from case_monitor.domain.isolation import CONFINED, Limits
from case_monitor.isolation.confine import landlock, seccomp
from case_monitor.isolation.confine.capabilities import drop_capabilities
from case_monitor.isolation.confine.environment import replace_environment
from case_monitor.isolation.confine.kernel import machine
from case_monitor.isolation.confine.limits import be_killed_first, set_limits
from case_monitor.isolation.confine.process import (
    close_other_descriptors,
    die_with_parent,
    own_session,
    renounce_privileges,
    require_one_thread,
)
from case_monitor.isolation.confine.readable import has_graphics_card


class Level(StrEnum):
    """What stands between a model and the machine."""

    CONFINED = CONFINED
    """A process of its own with limits; no files but its own and the libraries, no network, no other process."""
    PROCESS = "process"
    """A process of its own with limits, which can read what its user can."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What was done.

    Attributes:
        level: as far as that goes.
        lacking: why it goes no farther, in words; None where it is CONFINED.
        landlock_abi: the version of Landlock's interface; None where there is none.
    """

    level: Level
    lacking: str | None
    landlock_abi: int | None


def available() -> Level:
    """How far this kernel can go; nothing is applied."""
    return Level.PROCESS if lacking() else Level.CONFINED


def lacking() -> str | None:
    """Why this machine has no more than `Level.PROCESS`, in words; None where it has."""
    if machine() is None:
        return "only Linux on x86_64 and aarch64 can confine"
    return landlock.lacking() or seccomp.lacking()


def confine(
    readable: Sequence[Path], scratch: Path, limits: Limits, *, keep: Iterable[int] = (), parent: int | None = None
) -> Confinement:
    """Shut this process in, for good, as far as `available()` says: right after the fork, before a thread is started.

    What the parent had in its memory stays there to be read: fork from a process that never held a secret and was
    started with a `scrubbed` environment.

    Args:
        readable: files and folders that it may read; devices among them it may use.
        scratch: the folder that it may write in.
        limits: of what it may take.
        keep: descriptors that stay open. Standard input, output and error lead nowhere unless they are among them.
        parent: the process that forked this one, with which it is to end; by default whoever is its parent now.

    Raises:
        ConfinementError: a step failed. The process is in no state to run a model, or anything else: end it.
    """
    parent = os.getppid() if parent is None else parent
    missing = lacking()
    version = None if missing else landlock.abi()
    for name, step in _steps(readable, scratch, limits, keep, parent, confined=missing is None):
        try:
            step()
        except (OSError, ValueError) as error:
            raise ConfinementError(
                f"isolation: the process of a model could not {name} ({error}); it was ended before it loaded anything"
            ) from error
    return Confinement(level=Level.PROCESS if missing else Level.CONFINED, lacking=missing, landlock_abi=version)


def _steps(
    readable: Sequence[Path], scratch: Path, limits: Limits, keep: Iterable[int], parent: int, *, confined: bool
) -> list[tuple[str, Callable[[], object]]]:
    """In an order in which each is still possible after those before it."""
    of_any_process: list[tuple[str, Callable[[], object]]] = [
        ("be alone", require_one_thread),
        ("leave its session", lambda: own_session(scratch)),
        ("close its descriptors", lambda: close_other_descriptors(keep)),
        ("scrub its environment", lambda: replace_environment(scratch)),
        ("be the first to be killed", be_killed_first),
        ("bind itself to its limits", lambda: set_limits(limits)),
        ("renounce privileges", renounce_privileges),
        ("drop its capabilities", drop_capabilities),
        ("tie its life to its parent's", lambda: die_with_parent(parent)),
    ]
    cuda = has_graphics_card()
    of_a_confined_one: list[tuple[str, Callable[[], object]]] = [
        ("restrict its files", lambda: landlock.restrict_files(readable, scratch, cuda=cuda)),
        ("restrict its calls", lambda: seccomp.restrict_calls(cuda=cuda)),
    ]
    return of_any_process + of_a_confined_one if confined else of_any_process
