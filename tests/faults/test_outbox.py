"""Evidence that MLflow did not take: kept, and sent once, by the next gate without measuring anew, or by the sweep."""

from datetime import datetime

from mlflow import MlflowClient

from case_monitor.store.connection import connect
from tests.faults.lab import SQLITE, Lab
from tests.faults.promises import after_the_next_run, after_the_strike, holder
from tests.faults.world import World
from tests.support.rows import rows_of

SWEEP = """
from case_monitor.steps.requests import WatchRequest
from case_monitor.steps.running import run_flow
from case_monitor.steps.watch_registry import watch_registry
assert run_flow(watch_registry, WatchRequest()) == []
"""
SEND = """
from case_monitor.steps.begin import begin
from case_monitor.steps.outbox import send_waiting
from case_monitor.store.open import open_store
settings = begin(None)
send_waiting(settings, open_store(settings.database_url.get_secret_value()))
"""
GONE = {"at": "MLflow create_run", "deed": "gone"}


def waiting(world: World) -> list[tuple[int, str]]:
    engine = connect(world.database_url)
    try:
        return [(row["tries"], row["failure"]) for row in rows_of(engine, "outbox")]
    finally:
        engine.dispose()


def measured_at(world: World) -> list[datetime]:
    engine = connect(world.database_url)
    try:
        return [row["updated_at"] for row in rows_of(engine, "evaluations")]
    finally:
        engine.dispose()


def struck(world: World) -> None:
    ran = world.gate(GONE)
    assert list(after_the_strike(world, ran)) == []
    assert (ran.code, holder(world)) == (2, 1)
    assert "MLflow is gone; the evidence of evaluation 1 is kept, and the next run or sweep sends it" in ran.err
    assert [tries for tries, _ in waiting(world)] == [1]


def test_the_next_gate_sends_it_and_measures_nothing_anew(lab: Lab) -> None:
    clean = lab.unstruck(SQLITE).clean
    with lab.world() as world:
        struck(world)
        before = measured_at(world)
        ran = world.gate()
        assert list(after_the_next_run(world, ran, clean, killed=False)) == []
        assert (waiting(world), measured_at(world)) == ([], before)


def test_the_sweep_sends_it(lab: Lab) -> None:
    with lab.world() as world:
        struck(world)
        world.configure(more="watch_days: 0.000001\n")  # nothing is new enough to be announced
        ran = world.forked(cwd=world.folder, code=SWEEP, environment={"TMPDIR": str(world.temporary)})
        assert (ran.code, waiting(world)) == (0, []), ran.err
        assert holder(world) == 1  # nothing is promoted by a sweep
        [(status,)] = world.asked("SELECT status FROM runs WHERE name LIKE 'struck/2 on %'")
        assert status == "FINISHED"


def test_what_is_of_a_version_that_is_gone_is_given_up_but_not_at_once(lab: Lab) -> None:
    with lab.world() as world:
        struck(world)
        registry = f"sqlite:///{world.registry}"
        MlflowClient(registry, registry).delete_model_version(world.name, "2")
        environment = {"TMPDIR": str(world.temporary)}
        ran = world.forked(cwd=world.folder, code=SEND, environment=environment)
        assert (ran.code, [tries for tries, _ in waiting(world)]) == (1, [2]), ran.err
        assert "the evidence of evaluation 1 is kept" in ran.err
        world.configure(more="watch_days: 0.000001\n")
        ran = world.forked(cwd=world.folder, code=SEND, environment=environment)
        assert (ran.code, waiting(world)) == (0, []), ran.err
        assert len(measured_at(world)) == 1  # its figures are kept
