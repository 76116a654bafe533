"""Eight gates at once, of one version or of eight; and clocks that jump."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from case_monitor.store.connection import connect
from tests.faults.lab import SQLITE, Lab
from tests.faults.promises import CLEAN, CLOSED, ONCE, Broken, holder
from tests.faults.trials import Fault, Trial
from tests.faults.world import World
from tests.support.commands import Ran
from tests.support.rows import rows_of

RACERS = 8
_HOUR_S = 3600


def on_one_version(lab: Lab, trial: Trial) -> Iterable[Broken]:
    def strike(world: World) -> Ran:
        codes = _race(world, [["gate", world.challenger]] * RACERS)
        worst = max(codes)
        return Ran(worst, "", "" if worst == 0 else f"{codes}: {_errors(world.folder)}")

    yield from lab.struck(strike, SQLITE)


def on_eight_versions(lab: Lab, trial: Trial) -> Iterable[Broken]:
    """Each is judged against whichever holds the alias then, and takes it."""
    with lab.world(SQLITE) as world:
        world.register_more(lab.local[0].sources[1], RACERS - 1)
        codes = _race(world, [["gate", f"{world.name}/{version}"] for version in range(2, RACERS + 2)])
        if any(codes):
            yield Broken(CLOSED, f"exit codes {codes}: {_errors(world.folder)}")
            return
        engine = connect(world.database_url)
        log = [
            (p["previous_version"], p["version"], p["applied_at"] is not None) for p in rows_of(engine, "promotions")
        ]
        counts = {table: len(rows_of(engine, table)) for table in ("evaluations", "claims", "outbox")}
        engine.dispose()
        chain = all(before[1] == after[0] for before, after in pairwise(log)) and log[0][0] == 1
        if sorted(v for _, v, done in log if done) != list(range(2, RACERS + 2)) or not chain:
            yield Broken(ONCE, f"the audit log is {log}")
        moves = [version for (version,) in world.asked("SELECT version FROM fault_alias_moves")]
        if moves != [1, *(version for _, version, _ in log)] or holder(world) != log[-1][1]:
            yield Broken(ONCE, f"the alias moved to {moves}, the log is {log}")
        if counts != {"evaluations": RACERS, "claims": 0, "outbox": 0}:
            yield Broken(CLEAN, f"{counts}")


def clock_jumps(lab: Lab, trial: Trial) -> Iterable[Broken]:
    """The clock of the machine is set, by hours or weeks, in the middle of a gate; the next gate has the right time."""
    points = lab.unstruck(SQLITE).points
    at, jump_s = trial.one_of(len(points)), trial.random.choice([-1, 1]) * trial.random.choice([2, 40 * 24]) * _HOUR_S
    strike = {"at": at, "deed": "clock", "jump_s": jump_s}
    for broken in lab.struck(lambda world: world.gate(strike), SQLITE):
        yield Broken(broken.promise, f"by {jump_s} s at {points[at]}: {broken.how}")


def _race(world: World, racers: list[list[str]]) -> list[int]:
    world.command(strike={"racers": racers})
    return [int((world.folder / f"racer-{i}.code").read_text()) for i in range(len(racers))]


def _errors(folder: Path) -> list[str]:
    return [
        line
        for file in sorted(folder.glob("racer-*.err"))
        for line in file.read_text().splitlines()
        if line.startswith("error: ")
    ]


FAULTS = (
    Fault(name="eight racers on one version", strike=on_one_version, long=3),
    Fault(name="eight racers on eight versions", strike=on_eight_versions, long=3, promises=(CLOSED, ONCE, CLEAN)),
    Fault(name="the clock jumps at a point, SQLite", strike=clock_jumps, long=12),
)
