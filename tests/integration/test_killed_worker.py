"""A worker of the stack is killed within a run: the next run does its work, once. Takes minutes, for Prefect waits."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest
from mlflow.tracking import MlflowClient

from case_monitor.store.open import open_store
from tests.integration.conftest import Demo, digits_stack
from tests.integration.test_trigger import GOOD, alias_holder, gate, log_version, wait_for
from tests.support.rows import rows_of
from tests.support.running_stack import RunningStack

pytestmark = pytest.mark.long


@pytest.fixture
def own_stack() -> Iterator[RunningStack]:
    """One that nobody else looks at."""
    with digits_stack() as running:
        yield running


def kill_worker(stack: RunningStack) -> None:
    """With the run that it started, which has a session of its own."""
    [worker] = [one for one in stack.family() if "worker" in one.cmdline() and "start" in one.cmdline()][:1]
    for one in [worker, *worker.children(recursive=True)]:
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)


def test_a_killed_worker_costs_time_and_nothing_else(own_stack: RunningStack, demo: Demo, mlflow_globals: None) -> None:
    stack = own_stack
    store = open_store(stack.database_url)
    version = log_version(demo, stack, GOOD)
    wait_for(lambda: rows_of(store, "claims"), stack)  # the webhook's run has begun
    assert rows_of(store, "evaluations") == []
    kill_worker(stack)
    assert stack.process is not None
    assert stack.process.wait(600) == 1  # says which process ended, and goes down
    assert "worker ended with signal SIGKILL" in stack.log

    stack.start()
    gated = gate(stack, f"served/{version}")
    assert gated.returncode == 0, gated.stderr
    [evaluation] = rows_of(store, "evaluations")
    assert json.loads(gated.stdout)["evaluation_id"] == evaluation["id"]
    assert evaluation["verdict_status"] == "pass"
    assert len(rows_of(store, "promotions")) == 1
    wait_for(lambda: not rows_of(store, "claims"), stack)
    client = MlflowClient(stack.mlflow_url, stack.mlflow_url)
    assert alias_holder(client) == version
    store.dispose()
