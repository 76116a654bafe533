"""Where faults are tried: worlds without number, and what a gate is like in them that nothing strikes."""

import itertools
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from case_monitor.store.migrate import upgrade
from tests.faults.postgres_cluster import own_server
from tests.faults.promises import Broken, Clean, after_the_next_run, after_the_strike, descendants, nobody_left
from tests.faults.struck import POINTS_FILE
from tests.faults.world import Ground, World, local_world, served_world
from tests.support.commands import Ran
from tests.support.forked_commands import Forked

SQLITE, POSTGRESQL = "SQLite", "PostgreSQL"
OWN_POSTGRESQL, SMALL_POSTGRESQL = "PostgreSQL of its own", "PostgreSQL on a small disk"
Disk = Callable[[Path], AbstractContextManager[None]]


def _the_same_disk(folder: Path) -> AbstractContextManager[None]:
    return nullcontext()


@dataclass(frozen=True)
class Unstruck:
    """A gate as it should be: what it leaves, the points that it passes, and the seconds that it takes."""

    clean: Clean
    points: tuple[str, ...]
    seconds: float


@dataclass(kw_only=True, eq=False)
class Lab:
    """Makes worlds.

    `postgresql` gives the URL of a fresh database with tables, `sqlite` is one to copy; `local` is a registry in a
    file with its versions, `served` one behind a server, `prefect` the address of Prefect's API: servers are started
    when they are first needed.
    """

    folder: Path
    forked: Forked
    sqlite: Path
    postgresql: Callable[[], AbstractContextManager[str]]
    local: tuple[Ground, Path]
    served: Callable[[], Ground]
    prefect: Callable[[], str]
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _unstruck: dict[tuple[str, bool], Unstruck] = field(default_factory=dict)

    @contextmanager
    def world(self, database: str = SQLITE, *, served: bool = False, disk: Disk = _the_same_disk) -> Iterator[World]:
        """A model of its own, which nobody has gated yet, in a folder that `disk` prepares."""
        folder = self.folder / f"world-{next(self._numbers)}"
        folder.mkdir()
        with disk(folder), self._database(database, folder) as url:
            making = (
                served_world(self.served(), folder.name, folder, url, self.forked)
                if served
                else local_world(*self.local, folder, url, self.forked)
            )
            with making as world:
                if database == SQLITE:
                    shutil.copy(self.sqlite, folder / "results.db")
                yield world
        shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def _database(self, database: str, folder: Path) -> Iterator[str]:
        if database == SQLITE:
            yield f"sqlite:///{folder / 'results.db'}"
        elif database in {OWN_POSTGRESQL, SMALL_POSTGRESQL}:
            with own_server(small=database == SMALL_POSTGRESQL) as url:
                upgrade(url)
                yield url
        else:
            with self.postgresql() as url:
                yield url

    def unstruck(self, database: str = SQLITE, *, served: bool = False) -> Unstruck:
        """What a gate is like that nothing strikes."""
        kind = (database, served)
        if kind not in self._unstruck:
            with self.world(database, served=served) as world:
                began = time.monotonic()
                ran = world.gate({"records": True})
                seconds = time.monotonic() - began
                assert ran.code == 0, ran.err
                clean = Clean.of(world)
                points = tuple((world.folder / POINTS_FILE).read_text(encoding="utf-8").splitlines())
            self._unstruck[kind] = Unstruck(clean, points, seconds)
        return self._unstruck[kind]

    def struck(
        self,
        strike: Callable[[World], Ran],
        database: str = SQLITE,
        *,
        served: bool = False,
        killed: bool = False,
        disk: Disk = _the_same_disk,
    ) -> Iterable[Broken]:
        """Strike a gate in a new world; the next run, which nothing strikes, must complete its work."""
        unstruck = self.unstruck(database, served=served)
        with self.world(database, served=served, disk=disk) as world:
            before = descendants()
            yield from after_the_strike(world, strike(world))
            yield from after_the_next_run(world, world.gate(), unstruck.clean, killed=killed)
            yield from nobody_left(before)
