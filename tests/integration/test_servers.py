"""The same flow beside real servers: Prefect's server and worker, MLflow over HTTP, and PostgreSQL."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.tracking import MlflowClient

from case_monitor.demo.digits import CLASS_NAMES, MEAN, STD
from case_monitor.registry import model_metadata
from case_monitor.registry.client import Registry
from case_monitor.registry.loading import fetch
from case_monitor.store import read
from case_monitor.store.connection import connect
from case_monitor.store.migrate import upgrade
from case_monitor.store.read.promotions import promotions
from tests.integration.conftest import Demo
from tests.support.commands import registry_of
from tests.support.mlflow_registries import MlflowServer
from tests.support.models_here import loaded_here
from tests.support.servers import end_group, free_port

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class PrefectServer:
    """A running server, and the environment in which its command line reaches it."""

    api: str
    environment: dict[str, str]

    def command(self, *arguments: str, **options: Any) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "prefect", "--no-prompt", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            **options,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            f"{self.api}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)


@pytest.fixture
def prefect_process(tmp_path: Path) -> Iterator[PrefectServer]:
    """A real `prefect server` on a free loopback port."""
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")} | {
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "true",
    }
    server = PrefectServer(environment["PREFECT_API_URL"], environment)
    with (tmp_path / "prefect.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "prefect", "server", "start", "--host", "127.0.0.1", "--port", str(port)],
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            _wait_until_healthy(server, process, tmp_path / "prefect.log")
            yield server
        finally:
            end_group(process)


def _wait_until_healthy(server: PrefectServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{server.api}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    pytest.fail(f"the Prefect server did not become healthy:\n{log.read_text()}")


@pytest.fixture
def config(demo: Demo, mlflow_server: MlflowServer, mlflow_globals: None, postgres_url: str, tmp_path: Path) -> Path:
    """The demo's second model, logged to an MLflow server over HTTP; results go to PostgreSQL."""
    local = fetch(Registry(f"sqlite:///{demo.directory / 'mlflow.db'}"), "digits", 2)
    Registry(mlflow_server.uri)
    mlflow.set_experiment("digits over http")
    with mlflow.start_run():
        mlflow.pytorch.log_model(
            loaded_here(local),
            name="model",
            registered_model_name="served",
            serialization_format="pickle",
            metadata=model_metadata(class_names=CLASS_NAMES, preprocessing={"mean": MEAN, "std": STD}),
            pip_requirements=["torch"],
        )
    upgrade(postgres_url)
    path = tmp_path / "case-monitor.yaml"
    path.write_text(
        f"tracking_uri: {mlflow_server.uri}\ndatabase_url: {postgres_url}\n"
        "protocol: {methods: [case, gradcam], sample_size: 150}\npolicy: {thresholds: paper, min_samples: 40}\n"
        f"models:\n  served:\n    split: {{kind: npz, path: {demo.directory / 'digits-validation.npz'}}}\n"
    )
    return path


def test_a_deployment_run_by_a_worker(
    config: Path, prefect_process: PrefectServer, mlflow_server: MlflowServer, postgres_url: str
) -> None:
    server = prefect_process
    server.command("work-pool", "create", "case-monitor", "--type", "process")
    server.command("deploy", "--all", cwd=ROOT)
    request = json.dumps({"request": {"model": "served/1", "config": str(config)}})
    server.command("deployment", "run", "promote/promote", "--params", request)
    server.command("worker", "start", "--pool", "case-monitor", "--run-once", cwd=ROOT, timeout=300)

    runs = server.post("/flow_runs/filter", {})
    assert {run["name"]: run["state_type"] for run in runs if run["state_type"] != "SCHEDULED"} == {
        "promote served/1": "COMPLETED",
        "evaluate served/1": "COMPLETED",
    }
    artifacts = server.post("/artifacts/filter", {})
    assert {a["type"] for a in artifacts} >= {"table", "markdown", "progress"}
    [verdict] = [a for a in artifacts if a["key"] == "verdict"]
    assert verdict["data"].startswith("# PASS")
    [methods] = [a for a in artifacts if a["key"] == "saliency-methods"]
    assert [row["method"] for row in json.loads(methods["data"])] == ["CASE", "Grad-CAM"]

    client = MlflowClient(mlflow_server.uri, mlflow_server.uri)
    assert int(client.get_model_version_by_alias("served", "champion").version) == 1
    tags = client.get_model_version("served", "1").tags
    assert tags["case_monitor.verdict"] == "pass"
    assert {a.path for a in client.list_artifacts(tags["case_monitor.run_id"])} >= {"figures", "alerts.json"}

    engine = connect(postgres_url)
    [stored] = read.evaluations(engine, "served")
    [promotion] = promotions(engine, "served")
    engine.dispose()
    assert stored.mlflow_run_id == tags["case_monitor.run_id"]
    assert (promotion.decision, promotion.evaluation_id) == ("promoted", stored.id)
    assert promotion.applied_at is not None


def test_the_demo_registry_is_untouched(demo: Demo) -> None:
    assert int(registry_of(demo.config).get_model_version_by_alias("digits", "champion").version) == 2
