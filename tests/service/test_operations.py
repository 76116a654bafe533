"""Health, readiness and metrics."""

import re
import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Engine

from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.status import Status
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.migrate import downgrade
from case_monitor.store.work.announcements import note_announcement
from case_monitor.store.write import save_evaluation, save_reproduction
from tests.support.alerting import evaluation_with, found, night
from tests.support.factories import an_evaluation, some_evidence

NAME = 'a "quoted"\nname\\'


@pytest.fixture
def client(engine: Engine) -> TestClient:
    return TestClient(create_app(Settings(), engine))


def samples(client: TestClient) -> dict[tuple[str, ...], float]:
    answer = client.get("/metrics")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    return {
        (sample.name.removeprefix("case_monitor_"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_metrics_of_an_empty_database(client: TestClient) -> None:
    waiting = ("waiting_versions", "waiting_evidence", "oldest_waiting_evidence_timestamp_seconds")
    assert samples(client) == {(name,): 0 for name in waiting}


def test_every_metric_is_documented(client: TestClient) -> None:
    names = re.findall(r"^# TYPE (\w+)", client.get("/metrics").text, flags=re.M)
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text(encoding="utf-8")
    assert names
    assert [name for name in names if f"| `{name}` |" not in page] == []


def test_metrics_say_what_is_stored(client: TestClient, engine: Engine) -> None:
    save_evaluation(engine, replace(evaluation_with(found()), duration_s=7.5), night(1))
    passed = an_evaluation(name=NAME, status=Status.PASS)
    evidence = some_evidence(passed)
    save_evaluation(engine, passed, evidence=evidence)
    note_announcement(engine, "digits", 9)
    shown = samples(client)
    assert shown["evaluations", "digits", "fail"] + shown["evaluations", "digits", "insufficient"] == 1
    assert shown["evaluations", NAME, "pass"] == 1
    assert shown["evaluations", NAME, "fail"] == 0
    assert shown["open_alerts", "digits", "block"] == 1
    assert shown["open_alerts", NAME, "block"] == 0
    assert shown["last_evaluation_duration_seconds", "digits"] == 7.5
    assert shown["waiting_versions",] == shown["waiting_evidence",] == 1
    assert shown["oldest_waiting_evidence_timestamp_seconds",] == evidence.made_at.timestamp()


def test_a_night_that_looked_again_is_a_success(client: TestClient, engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    before = samples(client)["last_success_timestamp_seconds", "digits"]
    same = Reproduction(n=9, changed_predictions=0, confidence_difference=0.0, score_difference=0.0, worst="")
    later = replace(night(1), started_at=night(1).started_at + timedelta(days=36500))
    save_reproduction(engine, evaluation_id, same, an_evaluation(), later, "cpu", "2.13.0+cpu")
    assert samples(client)["last_success_timestamp_seconds", "digits"] == later.started_at.timestamp() > before


def test_health_and_readiness(client: TestClient, engine: Engine, database_url: str) -> None:
    assert client.get("/healthz").json() == client.get("/readyz").json() == {"status": "ok"}
    downgrade(database_url, "0003")
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert "case-monitor db upgrade" in answer.json()["reason"]
    assert client.get("/healthz").status_code == 200


def test_nothing_else_answers(client: TestClient) -> None:
    for path in ("/docs", "/redoc", "/openapi.json", "/webhooks/mlflow"):
        assert client.get(path).status_code in {404, 405}
    assert client.get("/healthz").headers["x-content-type-options"] == "nosniff"


def test_the_service_starts_without_what_only_workers_need() -> None:
    heavy = "{'torch', 'mlflow', 'pandas', 'matplotlib'}"
    code = f"import sys, case_monitor.cli.serve; print(sorted({heavy} & set(sys.modules)))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "[]\n"
