"""From registering a version over HTTP to its verdict, through the whole stack's real processes."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import mlflow
import pytest
from mlflow.tracking import MlflowClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine
from torch import nn

from case_monitor.demo.digits import CLASS_NAMES, MEAN, STD
from case_monitor.registry import model_metadata
from case_monitor.registry.client import Registry
from case_monitor.registry.loading import fetch
from case_monitor.store import read
from case_monitor.store.open import open_store
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.read.promotions import promotions
from tests.integration.conftest import Demo
from tests.support.models_here import loaded_here
from tests.support.rows import rows_of
from tests.support.running_stack import RunningStack

GOOD, INSENSITIVE = 2, 3  # of the demo's versions
PATIENCE_S = 1200  # who waits this long waits for nothing


@pytest.fixture(scope="module")
def store(stack: RunningStack) -> Iterator[Engine]:
    engine = open_store(stack.database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def client(stack: RunningStack, mlflow_globals: None) -> MlflowClient:
    mlflow.set_tracking_uri(stack.mlflow_url)
    mlflow.set_registry_uri(stack.mlflow_url)
    return MlflowClient(stack.mlflow_url, stack.mlflow_url)


@pytest.fixture
def register(demo: Demo, stack: RunningStack, client: MlflowClient) -> Callable[[int], int]:
    """`log_version` to the stack."""

    return lambda version: log_version(demo, stack, version)


def log_version(demo: Demo, stack: RunningStack, version: int) -> int:
    """Log a model of the demo, and register it as a version of `served`."""
    model: nn.Module = loaded_here(fetch(Registry(f"sqlite:///{demo.directory / 'mlflow.db'}"), "digits", version))
    mlflow.set_tracking_uri(stack.mlflow_url)
    mlflow.set_registry_uri(stack.mlflow_url)
    mlflow.set_experiment("training")
    with mlflow.start_run():
        logged = mlflow.pytorch.log_model(
            model,
            name="model",
            registered_model_name="served",
            serialization_format="pickle",
            metadata=model_metadata(class_names=CLASS_NAMES, preprocessing={"mean": MEAN, "std": STD}),
            pip_requirements=["torch"],
        )
    return int(logged.registered_model_version)


def wait_for(what: Callable[[], Any], stack: RunningStack) -> Any:
    give_up = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < give_up, stack.log[-20_000:]
        time.sleep(0.5)
    return found


def published(store: Engine, version: int) -> read.StoredEvaluation | None:
    found = read.latest_evaluation(store, "served", version)
    return found if found is not None and found.mlflow_run_id is not None else None


def state(stack: RunningStack, flow_run: str) -> str:
    with urllib.request.urlopen(f"{stack.prefect_api}/flow_runs/{flow_run}", timeout=30) as answer:
        return str(json.loads(answer.read())["state_type"])


def prefect(stack: RunningStack, path: str, body: Any, method: str = "POST") -> Any:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{stack.prefect_api}{path}", json.dumps(body).encode(), headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.loads(answer.read() or "null")


def deployment(stack: RunningStack, name: str) -> str:
    [found] = [d for d in prefect(stack, "/deployments/filter", {}) if d["name"] == name]
    return str(found["id"])


def served(stack: RunningStack, path: str) -> str:
    with urllib.request.urlopen(stack.service_url + path, timeout=30) as answer:
        return str(answer.read().decode())


def gate(stack: RunningStack, model: str, *options: str) -> "subprocess.CompletedProcess[str]":
    """As a job of a CI system does: it waits for the worker."""
    return subprocess.run(
        ["case-monitor", "gate", model, "--wait", "--json", *options],
        env=stack.environment,
        cwd=stack.directory,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def alias_holder(client: MlflowClient) -> int | None:
    aliases = client.get_registered_model("served").aliases
    return int(aliases["champion"]) if "champion" in aliases else None


def test_a_registered_version_is_evaluated_by_itself_and_promoted_on_request(
    register: Callable[[int], int], stack: RunningStack, store: Engine, client: MlflowClient
) -> None:
    version = register(GOOD)
    evaluation = wait_for(lambda: published(store, version), stack)
    assert evaluation.verdict_status == "pass"
    [announcement] = rows_of(store, "announcements")
    assert (announcement["model_name"], announcement["version"], announcement["times"]) == ("served", version, 1)
    assert len(rows_of(store, "webhook_deliveries")) == 1  # by the webhook, not by a sweep
    tags = client.get_model_version("served", str(version)).tags
    assert tags["case_monitor.verdict"] == "pass"
    artifacts = {a.path for a in client.list_artifacts(tags["case_monitor.run_id"])}
    assert artifacts >= {"figures", "alerts.json"}
    assert alias_holder(client) is None

    gated = gate(stack, f"served/{version}")
    assert (gated.returncode, json.loads(gated.stdout)["promotion"]["decision"]) == (0, "promoted"), gated.stderr
    assert json.loads(gated.stdout)["evaluation_id"] == evaluation.id
    assert alias_holder(client) == version
    assert [row["id"] for row in rows_of(store, "evaluations")] == [evaluation.id]
    shown = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(served(stack, "/metrics"))
        for sample in family.samples
    }
    assert shown["case_monitor_evaluations", "served", "pass"] == 1
    assert shown["case_monitor_waiting_versions",] == 0

    page = unescape(served(stack, f"/evaluation/{evaluation.id}"))
    assert evaluation.verdict_sentence in page
    assert f"to version {version}." in page
    run = client.get_run(tags["case_monitor.run_id"])
    assert f"{stack.mlflow_url}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}" in page
    [flow_run] = [row["flow_run_id"] for row in rows_of(store, "evaluations")]
    with urllib.request.urlopen(f"{stack.prefect_api}/flow_runs/{flow_run}", timeout=30) as answer:
        assert json.loads(answer.read())["name"] == f"evaluate served/{version}"
    assert f"/runs/flow-run/{flow_run}" in page
    assert f"version {version}" in served(stack, "/?q=served")


def test_a_failing_version_is_withheld_and_its_alert_is_open(
    register: Callable[[int], int], stack: RunningStack, store: Engine, client: MlflowClient
) -> None:
    holder = alias_holder(client)
    version = register(INSENSITIVE)
    evaluation = wait_for(lambda: published(store, version), stack)
    assert evaluation.verdict_status == "fail"
    gated = gate(stack, f"served/{version}")
    assert (gated.returncode, json.loads(gated.stdout)["promotion"]["decision"]) == (1, "withheld"), gated.stderr
    assert alias_holder(client) == holder
    assert next(p.decision for p in promotions(store, "served")) == "withheld"
    [alert] = [alert for alert in load_alert_lives(store) if alert.rule == "agreement_median"]
    assert alert.message in unescape(served(stack, "/alerts?model=served"))
    assert f"alias champion stays with version {holder}" in served(stack, f"/evaluation/{evaluation.id}")


def test_what_a_worker_cannot_do_is_no_verdict(stack: RunningStack) -> None:
    gated = gate(stack, "served/999")
    assert gated.returncode == 2
    assert "ended as Failed" in gated.stderr
    assert gate(stack, "served@champion").returncode == 2


def test_without_the_webhook_the_sweep_finds_the_version_once(
    register: Callable[[int], int], stack: RunningStack, store: Engine, client: MlflowClient
) -> None:
    [hook] = client.list_webhooks()
    client.update_webhook(hook.webhook_id, status="DISABLED")
    try:
        version = register(GOOD)
        time.sleep(3)
        assert version not in {row["version"] for row in rows_of(store, "announcements")}
        # A scheduled run, as `watch-registry` has them every five minutes.
        path = f"/deployments/{deployment(stack, 'watch-registry')}/schedules"
        [made] = prefect(stack, path, [{"active": True, "schedule": {"interval": 30}}])
        try:
            wait_for(lambda: version in {row["version"] for row in rows_of(store, "announcements")}, stack)
        finally:
            request = urllib.request.Request(f"{stack.prefect_api}{path}/{made['id']}", method="DELETE")
            urllib.request.urlopen(request, timeout=30).close()
        evaluation = wait_for(lambda: published(store, version), stack)
        later = prefect(stack, f"/deployments/{deployment(stack, 'watch-registry')}/create_flow_run", {})["id"]
        wait_for(lambda: state(stack, later) == "COMPLETED", stack)
        runs = prefect(stack, "/flow_runs/filter", {"flows": {"name": {"any_": ["watch-registry"]}}})
        assert any(run["auto_scheduled"] and run["state_type"] == "COMPLETED" for run in runs)
    finally:
        client.update_webhook(hook.webhook_id, status="ACTIVE")  # from now on: the stack's MLflow keeps no list
    counted = {(row["version"]): row["times"] for row in rows_of(store, "announcements")}
    assert counted[version] == 1  # the later sweep knew of it
    assert evaluation.updated_at - evaluation.created_at < timedelta(seconds=1)


def test_versions_registered_at_once_are_all_evaluated_and_none_twice(
    register: Callable[[int], int], stack: RunningStack, store: Engine, client: MlflowClient
) -> None:
    first = register(GOOD)
    source = client.get_model_version("served", str(first))
    model_id = source.source.removeprefix("models:/")
    others = [
        int(client.create_model_version("served", source.source, run_id=source.run_id, model_id=model_id).version)
        for _ in range(2)
    ]
    versions = {first, *others}
    wait_for(lambda: all(published(store, version) for version in versions), stack)
    times: dict[int, list[datetime]] = {}
    for row in read.evaluations(store, "served"):
        if row.version in versions:
            times.setdefault(row.version, []).extend([row.created_at, row.updated_at])
    assert all(len(found) == 2 and found[0] == found[1] for found in times.values())
    assert set(times) == versions
