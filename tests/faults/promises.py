"""What must hold, asked of the tables, the registry, the files and the processes themselves."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import Engine

from case_monitor.store.connection import connect
from case_monitor.store.tables import Base
from tests.faults.world import World
from tests.support.commands import Ran
from tests.support.rows import rows_of

CLOSED, WHOLE, ONCE, GOES_ON, CLEAN = (
    "fails closed",
    "all or nothing",
    "no duplicates",
    "the next run completes it",
    "nothing left behind",
)
ALL = (CLOSED, WHOLE, ONCE, GOES_ON, CLEAN)
KILLED = -9
_OF_LIBRARIES = re.compile("nanobind|leaked|skipped remainder")
_ID = {"evaluation_id", "alert_id", "id", "model_version_id"}


@dataclass(frozen=True)
class Broken:
    """A promise that was not kept, and how."""

    promise: str
    how: str


@dataclass(frozen=True, kw_only=True)
class Clean:
    """What a gate leaves that nothing struck: the rows of its parts, and its evidence's metrics and files."""

    parts: dict[str, list[tuple[Any, ...]]]
    metrics: dict[str, float]
    files: frozenset[str]

    @classmethod
    def of(cls, world: World) -> "Clean":
        engine = connect(world.database_url)
        try:
            [evaluation] = _evaluations(engine, 2)
            [run] = _evidence(world)
            return cls(parts=_parts(engine, evaluation["id"]), metrics=_metrics(world, run), files=_files(world, run))
        finally:
            engine.dispose()


def holder(world: World) -> int | None:
    found = world.asked("SELECT version FROM registered_model_aliases WHERE name = ?", world.name)
    return int(found[0][0]) if found else None


def after_the_strike(world: World, ran: Ran) -> Iterator[Broken]:
    """Whatever came of the run that was struck, it was honest."""
    told = f"exit code {ran.code}, {said(ran)!r}"
    if ran.code not in {0, 2, KILLED}:
        yield Broken(CLOSED, f"a fault became a verdict: {told}")
    # One that is killed while it ends has said what is stored, to the end; the exit code does not follow it.
    said_all = "was killed by SIGKILL" in ran.err and holder(world) == 2 and ran.out.endswith("to version 2.\n")
    if ran.code == 2 and ((ran.out and not said_all) or "Traceback" in ran.err or _error_lines(ran) != 1):
        yield Broken(CLOSED, f"one line was expected: {ran.out[-300:]!r}, {told}")
    if ran.code == 0 and holder(world) != 2:
        yield Broken(CLOSED, f"0 was said and version {holder(world)} holds the alias")
    if holder(world) == 2:
        yield from _earned(world)


def after_the_next_run(world: World, ran: Ran, clean: Clean, *, killed: bool) -> Iterator[Broken]:
    """The work is done, once and as a whole."""
    if ran.code != 0 or holder(world) != 2:
        yield Broken(GOES_ON, f"exit code {ran.code}, version {holder(world)} holds it: {said(ran)!r}")
        return
    yield from _earned(world)
    engine = connect(world.database_url)
    try:
        yield from _stored_once(world, engine, clean)
        yield from _evidence_once(world, engine, clean)
        yield from _decided_once(world, engine)
        if claims := rows_of(engine, "claims"):
            yield Broken(CLEAN, f"claims: {claims}")
    finally:
        engine.dispose()
    left = sorted(path.name for path in world.temporary.iterdir())
    if left and not killed:
        yield Broken(CLEAN, f"temporary files: {left}")


def nobody_left(before: set[int]) -> Iterator[Broken]:
    """Processes end with the one that started them, within seconds."""
    for _ in range(100):
        left = [one for one in _descendants() if one.pid not in before and not _of_a_stack(one)]
        if not left:
            return
        time.sleep(0.1)
    yield Broken(CLEAN, f"processes: {[(one.pid, _shown(one)) for one in left]}")


def _of_a_stack(process: psutil.Process) -> bool:
    """Whether it works for a stack of other tests that runs meanwhile, whose worker starts what its schedules say."""
    try:
        return any("docker/local/stack.py" in _shown(one) for one in (process, *process.parents()))
    except psutil.NoSuchProcess:
        return True


def _shown(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())[:200]
    except psutil.NoSuchProcess:
        return "which has ended since"


def descendants() -> set[int]:
    return {one.pid for one in _descendants()}


def _descendants() -> list[psutil.Process]:
    found = []
    for one in psutil.Process().children(recursive=True):
        try:
            if one.status() != psutil.STATUS_ZOMBIE and one.name() != "postgres":  # which a strike may have started
                found.append(one)
        except psutil.NoSuchProcess:
            continue
    return found


def said(ran: Ran) -> str:
    """The end of what it said, without what libraries say of themselves when an interpreter ends."""
    lines = [line for line in ran.err.splitlines() if not _OF_LIBRARIES.search(line)]
    return "\n".join(lines)[-600:]


def _error_lines(ran: Ran) -> int:
    return sum(line.startswith("error: ") for line in ran.err.splitlines())


def _earned(world: World) -> Iterator[Broken]:
    """The alias is at version 2: there are a stored pass of it and a decision."""
    engine = connect(world.database_url)
    try:
        passes = [e["id"] for e in _evaluations(engine, 2) if e["verdict_status"] == "pass"]
        decided = [p for p in rows_of(engine, "promotions") if p["version"] == 2 and p["decision"] == "promoted"]
    finally:
        engine.dispose()
    if not any(p["evaluation_id"] in passes for p in decided):
        yield Broken(CLOSED, f"the alias moved on passes {passes} and decisions {decided}")


def _stored_once(world: World, engine: Engine, clean: Clean) -> Iterator[Broken]:
    evaluations = _evaluations(engine, 2)
    if len(evaluations) != 1:
        yield Broken(ONCE, f"{len(evaluations)} evaluations")
        return
    parts = _parts(engine, evaluations[0]["id"])
    for table, rows in clean.parts.items():
        if parts[table] != rows:
            yield Broken(WHOLE, f"{table}: {len(parts[table])} rows, {len(rows)} expected, or others")


def _evidence_once(world: World, engine: Engine, clean: Clean) -> Iterator[Broken]:
    runs = _evidence(world)
    if len(runs) != 1:
        yield Broken(ONCE, f"{len(runs)} evidence runs")
        return
    [run] = runs
    stored = {e["mlflow_run_id"] for e in _evaluations(engine, 2)}
    tagged = world.asked(
        "SELECT value FROM model_version_tags WHERE name = ? AND version = 2 AND key = 'case_monitor.run_id'",
        world.name,
    )
    if stored != {run} or tagged != [(run,)]:
        yield Broken(WHOLE, f"run {run}; stored is {stored}, tagged is {tagged}")
    [(status,)] = world.asked("SELECT status FROM runs WHERE run_uuid = ?", run)
    if status != "FINISHED" or _metrics(world, run) != clean.metrics or _files(world, run) != clean.files:
        yield Broken(WHOLE, f"run {run}, {status}: {len(_metrics(world, run))} metrics, files {_files(world, run)}")


def _decided_once(world: World, engine: Engine) -> Iterator[Broken]:
    moves = world.asked("SELECT version FROM fault_alias_moves WHERE model = ?", world.name)
    if [version for (version,) in moves] != [1, 2]:
        yield Broken(ONCE, f"the alias moved to {moves}")
    log = [(p["version"], p["decision"], p["applied_at"] is not None) for p in rows_of(engine, "promotions")]
    if log not in ([(2, "promoted", True)], [(2, "promoted", True), (2, "kept", True)]):
        yield Broken(ONCE, f"the audit log is {log}")


def _evaluations(engine: Engine, version: int) -> list[dict[str, Any]]:
    ids = {row["id"] for row in rows_of(engine, "model_versions") if row["version"] == version}
    return [row for row in rows_of(engine, "evaluations") if row["model_version_id"] in ids]


def _parts(engine: Engine, evaluation_id: int) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of an evaluation in each table that hangs on it, without the numbers that they have by chance."""
    parts = {}
    for name, table in Base.metadata.tables.items():
        if "evaluation_id" in table.columns and name not in {"promotions", "reproductions", "outbox"}:
            rows = [row for row in rows_of(engine, name) if row["evaluation_id"] == evaluation_id]
            parts[name] = [tuple(value for key, value in row.items() if key not in _ID) for row in rows]
    return parts


def _evidence(world: World) -> list[str]:
    query = (
        "SELECT r.run_uuid FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid JOIN experiments e USING (experiment_id) "
        "WHERE t.key = 'case_monitor.key' AND e.name = ? AND r.lifecycle_stage = 'active'"
    )
    return [run for (run,) in world.asked(query, f"evidence of {world.name}")]


def _metrics(world: World, run: str) -> dict[str, float]:
    return dict(world.asked("SELECT key, value FROM latest_metrics WHERE run_uuid = ? AND key <> 'duration_s'", run))


def _files(world: World, run: str) -> frozenset[str]:
    found = list(world.artifacts.glob(f"**/{run}/artifacts"))
    return frozenset(
        path.relative_to(folder).as_posix() for folder in found for path in Path(folder).rglob("*") if path.is_file()
    )
