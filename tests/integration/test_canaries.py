"""A canary in every secret, and a look at everything that a check writes: none may be found there."""

import base64
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import pytest
import torch
from fastapi.testclient import TestClient
from prefect.settings import PREFECT_API_URL, get_current_settings
from sqlalchemy import MetaData, select
from sqlalchemy.engine import make_url
from torch import nn

from case_monitor.registry import model_metadata
from case_monitor.service import create_app
from case_monitor.settings import load_settings
from case_monitor.store.connection import connect
from case_monitor.store.migrate import upgrade
from tests.support.commands import run_cli
from tests.support.guarded_server import guarded
from tests.support.mlflow_registries import MlflowServer
from tests.support.servers import free_port

SPLIT = """
import os
import torch
def images():
    print("FOREIGN", os.environ["CANARIES"])
    os.write(1, b"FOREIGN descriptor" + bytes([10]))
    pixels = torch.rand(24, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return [(pixels[i], i % 2) for i in range(24)]
"""


@dataclass
class Canaries:
    """One for each secret, by its name. Some hold what URLs must not hold as it is."""

    planted: dict[str, str] = field(default_factory=dict)

    def plant(self, name: str, *, more: str = "") -> str:
        return self.planted.setdefault(name, f"c4nary-{len(self.planted)}-{more}of-{name}")

    def forms(self) -> dict[str, str]:
        """Each in the forms in which it could be found -> its name."""
        found = {form: name for name, secret in self.planted.items() for form in (secret, quote(secret, safe=""))}
        logins = [(f"me:{secret}", name) for name, secret in self.planted.items()]
        return found | {base64.b64encode(login.encode()).decode(): name for login, name in logins}

    def in_text(self, text: str) -> set[str]:
        return {name for form, name in self.forms().items() if form in text}


@dataclass(frozen=True)
class Planted:
    """A directory with a configuration, and where its processes write."""

    directory: Path
    canaries: Canaries
    environment: dict[str, str]
    database_url: str
    mlflow: MlflowServer


@pytest.fixture
def planted(
    tmp_path: Path,
    prefect_server: None,
    mlflow_server: MlflowServer,
    postgres_url: str,
    log_version: Callable[..., int],
) -> Iterator[Planted]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    metadata = model_metadata(class_names=("cat", "dog"), preprocessing={"mean": [0.5], "std": [0.5]})
    log_version(mlflow_server.uri, "canaries", model, metadata=metadata)
    canaries = Canaries()
    of_uri, of_variable = canaries.plant("tracking_uri", more="a@b/c#d?e f:g-"), canaries.plant("tracking_password")
    with guarded(mlflow_server.uri, f"me:{of_uri}", f"me:{of_variable}") as mlflow:
        database = make_url(postgres_url)  # trusts whoever comes, unless it is a server that the tests were given
        canaries.planted["database_url"] = database.password or canaries.plant("database_url", more="a@b/c-")
        database = database.set(password=canaries.planted["database_url"])
        notify = f"json://me:{canaries.plant('notify')}@127.0.0.1:{free_port()}/{canaries.plant('notify_path')}"
        (tmp_path / "their_split.py").write_text(SPLIT)
        (tmp_path / "case-monitor.yaml").write_text(
            f"tracking_uri: http://me:{quote(of_uri, safe='')}@{mlflow}\nexperiment: canaries\n"
            f"read_token: {canaries.plant('read_token')}\nnotify: ['{notify}']\n"
            "protocol: {methods: [case], sample_size: 24}\n"
            "models: {canaries: {split: {kind: function, function: 'their_split:images'}}}\n"
        )
        environment = {
            "CASE_MONITOR_DATABASE_URL": database.render_as_string(hide_password=False),
            "CASE_MONITOR_WEBHOOK_SECRET": canaries.plant("webhook_secret"),
            "CASE_MONITOR_WRITE_TOKEN": canaries.plant("write_token"),
            "PREFECT_API_AUTH_STRING": f"me:{canaries.plant('prefect_auth_string')}",
            "PREFECT_API_URL": str(PREFECT_API_URL.value()),
            "AWS_SECRET_ACCESS_KEY": canaries.plant("aws_key"),
            "PGPASSWORD": canaries.plant("pgpassword"),
            "PYTHONPATH": os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]),
        }
        environment["CANARIES"] = " ".join(secret for secret in canaries.planted.values() if secret != of_variable)
        upgrade(postgres_url)
        yield Planted(tmp_path, canaries, environment, postgres_url, mlflow_server)


def run(planted: Planted, command: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """A pipeline of a shell in which `case-monitor` is ours."""
    ours = f'case-monitor() {{ "{sys.executable}" -c "from case_monitor.cli import main; main()" "$@"; }}\n'
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "CASE_MONITOR_"))}
    return subprocess.run(
        ["bash", "-c", f"{ours}{command.replace('python', sys.executable)}"],
        cwd=planted.directory,
        env=kept | planted.environment | environment,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_none_is_found_in_anything_that_a_check_writes(planted: Planted) -> None:
    canaries = planted.canaries
    # MLflow's client takes the login of the variables before that of the URL.
    password = canaries.plant("tracking_password")
    variables = {"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": password}
    variables["CANARIES"] = f"{planted.environment['CANARIES']} {password}"
    shown = run(planted, "case-monitor check canaries/1 --verbose", **variables)
    assert "INSUFFICIENT" in shown.stdout, shown.stderr
    assert "FOREIGN" not in shown.stdout
    assert "View run" not in shown.stdout
    assert "View run" in shown.stderr
    assert "FOREIGN ***" in shown.stderr

    pipeline = "case-monitor check canaries/1 --json | python -m json.tool"
    piped = run(planted, pipeline, CASE_MONITOR_LOG_FORMAT="json")
    assert json.loads(piped.stdout)["verdict"] == "insufficient", piped.stderr
    logs = [json.loads(line) for line in piped.stderr.splitlines() if line != "FOREIGN descriptor"]
    assert {"case_monitor.foreign", "case_monitor.evaluate"} <= {line["logger"] for line in logs}

    for place, text in {"shown": shown, "piped": piped}.items():
        assert canaries.in_text(text.stdout + text.stderr) == set(), place
    for place, text in written(planted):
        assert canaries.in_text(text) == set(), place


def written(planted: Planted) -> Iterator[tuple[str, str]]:
    """What is in the databases and files of all servers, and on the pages."""
    results = dump_of_results(planted.database_url)
    assert "canaries" in results
    yield "results database", results
    yield "MLflow's database", dump_of_sqlite(planted.mlflow.database_uri.removeprefix("sqlite:///"))
    files = [file for file in planted.mlflow.artifacts.rglob("*") if file.is_file()]
    assert any(file.name == "alerts.json" for file in files)
    for file in files:
        yield str(file), file.read_bytes().decode("latin-1")
    prefect = get_current_settings().server.database.connection_url
    assert prefect is not None
    of_prefect = dump_of_sqlite(prefect.get_secret_value().partition(":///")[2])
    assert "evaluate canaries/1" in of_prefect
    yield "Prefect's database", of_prefect
    yield from pages(planted)


def dump_of_results(url: str) -> str:
    engine, tables = connect(url), MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        rows = {name: connection.execute(select(table)).all() for name, table in tables.tables.items()}
    engine.dispose()
    return repr(rows)


def dump_of_sqlite(file: str) -> str:
    connection = sqlite3.connect(f"file:{file}?mode=ro", uri=True)
    try:
        return "\n".join(connection.iterdump())
    finally:
        connection.close()


def pages(planted: Planted) -> Iterator[tuple[str, str]]:
    """All that links lead to from the first page on."""
    with pytest.MonkeyPatch.context() as patched:
        for name, value in planted.environment.items():
            patched.setenv(name, value)
        settings = load_settings(planted.directory / "case-monitor.yaml")
    engine = connect(planted.database_url)
    token = {"Authorization": f"Bearer {planted.canaries.planted['read_token']}"}
    seen: set[str] = set()
    with TestClient(create_app(settings, engine), headers=token) as client:
        waiting = ["/", "/alerts", "/metrics", "/readyz", "/api/v1/models", "/nothing"]
        while waiting and len(seen) < 60:
            address = waiting.pop(0)
            if address in seen or address.startswith("/static"):
                continue
            seen.add(address)
            answer = client.get(address)
            yield address, answer.content.decode("latin-1") + str(answer.headers)
            waiting += [found.replace("&amp;", "&") for found in re.findall(r'(?:href|src)="(/[^"#]*)', answer.text)]
    engine.dispose()
    assert len(seen) > 10


def test_none_is_found_in_what_commands_say_of_failures(planted: Planted, monkeypatch: pytest.MonkeyPatch) -> None:
    """The password is wrong, then nobody answers."""
    for name, value in planted.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.syspath_prepend(planted.directory)
    config = planted.directory / "case-monitor.yaml"
    refused = re.sub(r"me:[^@]*@", f"me:{planted.canaries.plant('wrong', more='%40')}@", config.read_text())
    dead = re.sub(r"@127.0.0.1:\d+\nexp", f"@127.0.0.1:{free_port()}\nexp", config.read_text())
    planted.canaries.planted["wrong"] = planted.canaries.planted["wrong"].replace("%40", "@")
    for text, command in ((refused, "doctor --quick"), (dead, "doctor --quick --json"), (dead, "webhook register -v")):
        config.write_text(text)
        ran = run_cli(*command.split(), cwd=planted.directory)
        assert ran.code == 2, ran.err
        assert planted.canaries.in_text(ran.out + ran.err) == set(), command
