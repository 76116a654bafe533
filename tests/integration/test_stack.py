"""`make stack`: everything comes up by one command with its real processes, and goes down again."""

import json
import signal
import socket
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any

import mlflow
import psutil
import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import OperationalError

from case_monitor.store.open import open_store
from tests.support.running_stack import ROOT, SERVERS, RunningStack


def get(url: str, **headers: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def prefect_api(stack: RunningStack, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"{stack.prefect_api}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@pytest.mark.parametrize(
    ("server", "path"),
    [
        ("mlflow", "/health"),
        ("prefect", "/api/health"),
        ("worker", "/health"),
        ("service", "/healthz"),
        ("service", "/readyz"),
    ],
)
def test_each_server_answers(stack: RunningStack, server: str, path: str) -> None:
    assert get(stack.url(server) + path)[0] == 200


def test_nothing_listens_beyond_loopback(stack: RunningStack) -> None:
    ends = [end for one in stack.family() for end in one.net_connections("inet") if end.status == psutil.CONN_LISTEN]
    assert {end.laddr.ip for end in ends} == {"127.0.0.1"}
    assert {end.laddr.port for end in ends} >= set(stack.ports.values())


def test_every_deployment_and_the_work_pool_are_there(stack: RunningStack) -> None:
    deployments = prefect_api(stack, "/deployments/filter", {})
    assert {d["name"] for d in deployments} == {"evaluate-version", "promote", "nightly", "watch-registry"}
    assert {d["work_pool_name"] for d in deployments} == {"case-monitor"}
    assert json.loads(get(f"{stack.prefect_api}/work_pools/case-monitor")[1])["type"] == "process"


def test_the_results_database_has_its_tables(stack: RunningStack) -> None:
    open_store(stack.database_url).dispose()  # says so if they are missing or old


def test_a_role_may_not_enter_the_database_of_another(stack: RunningStack) -> None:
    engine = create_engine(make_url(stack.database_url).set(database="mlflow"))
    with pytest.raises(OperationalError, match="permission denied for database"):
        engine.connect()
    nobody = create_engine(make_url(stack.database_url).set(password="wrong"))
    with pytest.raises(OperationalError, match="password authentication failed"):
        nobody.connect()


def test_mlflow_keeps_its_data_in_postgres_and_serves_artifacts(stack: RunningStack, mlflow_globals: None) -> None:
    client = mlflow.MlflowClient(stack.mlflow_url, stack.mlflow_url)
    found = client.get_experiment_by_name("stack artifacts")
    experiment = found.experiment_id if found else client.create_experiment("stack artifacts")
    run = client.create_run(experiment)
    client.log_text(run.info.run_id, "kept by the server", "note.txt")
    assert run.info.artifact_uri is not None
    assert run.info.artifact_uri.startswith("mlflow-artifacts:/")
    [kept] = stack.directory.glob(f"artifacts/**/{run.info.run_id}/artifacts/note.txt")
    assert kept.read_text() == "kept by the server"
    url = make_url(stack.database_url)
    url = url.set(username="mlflow", database="mlflow", password=stack.secret("mlflow_database_password"))
    with create_engine(url).connect() as connection:
        runs = connection.execute(text("SELECT count(*) FROM runs WHERE run_uuid = :id"), {"id": run.info.run_id})
        assert runs.scalar() == 1


def test_mlflow_refuses_a_foreign_host(stack: RunningStack) -> None:
    path = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=Default"
    assert get(stack.mlflow_url + path)[0] == 200
    assert get(stack.mlflow_url + path, Host="attacker.example")[0] == 403


def test_secrets_are_for_their_owner_and_in_no_command_and_no_output(stack: RunningStack) -> None:
    files = [*(stack.directory / "secrets").iterdir()]
    assert len(files) == 6
    assert {stat.S_IMODE(file.stat().st_mode) for file in [*files, stack.directory / "environment"]} == {0o600}
    commands = "\n".join(" ".join(one.info["cmdline"] or []) for one in psutil.process_iter(["cmdline"]))
    assert "mlflow server" in commands
    for file in files:
        assert file.read_text() not in commands + stack.log


def test_the_directory_is_for_one_stack(stack: RunningStack) -> None:
    done = subprocess.run(
        [sys.executable, "docker/local/stack.py", str(stack.directory)],
        cwd=ROOT,
        env=stack.environment,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, f"stack: {stack.directory} is in use by another stack\n")


def test_it_goes_down_without_a_trace_and_comes_up_again_with_its_data(stack: RunningStack) -> None:
    before = get(f"{stack.prefect_api}/work_pools/case-monitor")[1]
    secret = stack.secret("mlflow_webhook_encryption_key")
    family = stack.family()
    assert len(family) > 10  # five servers, and PostgreSQL's own

    assert stack.stop(signal.SIGINT) == 0
    assert [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE] == []
    for server in SERVERS:
        with socket.socket() as listener:  # its port is free again
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", stack.ports[server]))
    assert stack.log.endswith("stack: down\n")

    stack.start()
    assert json.loads(get(f"{stack.prefect_api}/work_pools/case-monitor")[1])["id"] == json.loads(before)["id"]
    assert stack.secret("mlflow_webhook_encryption_key") == secret
