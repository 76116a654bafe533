"""What the receiver takes, and what it refuses."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from mlflow.webhooks.delivery import _generate_hmac_signature
from prefect.settings import PREFECT_API_URL, temporary_settings
from sqlalchemy import Engine

from case_monitor.service import create_app
from case_monitor.service.webhook import MAX_BODY
from case_monitor.settings import Settings
from tests.support.rows import rows_of
from tests.support.servers import free_port

SECRET = "a secret of some length"
SPLIT = {"kind": "npz", "path": "x.npz"}
Post = Callable[..., Response]


def event(name: str = "digits", version: Any = "3") -> dict[str, Any]:
    data = {"name": name, "version": version, "source": "models:/m-1", "run_id": "r", "tags": {}, "description": None}
    return {"entity": "model_version", "action": "created", "timestamp": "2026-11-01T00:00:00+00:00", "data": data}


@pytest.fixture
def client(engine: Engine, prefect_server: None) -> Iterator[TestClient]:
    settings = Settings(webhook_secret=SECRET, models={"digits": {"split": SPLIT}, "a \"b\" 'c'/d": {"split": SPLIT}})
    with TestClient(create_app(settings, engine)) as client:
        yield client


@pytest.fixture
def post(client: TestClient) -> Post:
    """As MLflow does; the signature is made by MLflow's own code."""

    def send(
        body: dict[str, Any] | str, *, secret: str = SECRET, delivery_id: str = "d1", age: float = 0, **headers: str
    ) -> Response:
        text = body if isinstance(body, str) else json.dumps(body)
        timestamp = headers.pop("timestamp", str(int(time.time() - age)))
        sent = {
            "X-MLflow-Delivery-Id": delivery_id,
            "X-MLflow-Timestamp": timestamp,
            "X-MLflow-Signature": _generate_hmac_signature(secret, delivery_id, timestamp, text),
        }
        return client.post("/webhooks/mlflow", content=text.encode(), headers=sent | headers)

    return send


def announced(engine: Engine) -> list[tuple[str, int, int]]:
    return [(row["model_name"], row["version"], row["times"]) for row in rows_of(engine, "announcements")]


def test_a_signed_delivery_is_passed_on_once(post: Post, engine: Engine) -> None:
    answer = post(event())
    assert (answer.status_code, answer.json()) == (202, {"status": "announced"})
    assert announced(engine) == [("digits", 3, 1)]
    again = post(event())
    assert again.status_code == 409
    assert announced(engine) == [("digits", 3, 1)]
    assert post(event("a \"b\" 'c'/d", 1), delivery_id="d2").status_code == 202
    assert post(event(version=2**31 - 1), delivery_id="d3").status_code == 202


@pytest.mark.parametrize(
    "changes",
    [
        {"secret": "another secret of some length"},
        {"age": 301},
        {"age": -310},  # it comes nearer while the test runs
        {"delivery_id": ""},
        {"delivery_id": "x" * 201},
        {"timestamp": "soon"},
        {"timestamp": "1" * 400},
        {"X-MLflow-Signature": "v1,"},
        {"X-MLflow-Signature": ""},
        {"X-MLflow-Delivery-Id": "another"},
    ],
)
def test_what_is_not_signed_or_not_recent_is_refused_alike(post: Post, engine: Engine, changes: dict[str, Any]) -> None:
    answer = post(event(), **changes)
    assert (answer.status_code, answer.json()) == (401, {"detail": "a valid and recent signature was expected"})
    assert announced(engine) == rows_of(engine, "webhook_deliveries") == []


def test_another_body_under_the_same_signature_is_refused(client: TestClient, engine: Engine) -> None:
    timestamp = str(int(time.time()))
    signature = _generate_hmac_signature(SECRET, "d1", timestamp, json.dumps(event()))
    headers = {"X-MLflow-Delivery-Id": "d1", "X-MLflow-Timestamp": timestamp, "X-MLflow-Signature": signature}
    assert client.post("/webhooks/mlflow", json=event(version=4), headers=headers).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("x" * (MAX_BODY + 1), 413),
        ("not json", 422),
        ("[]", 422),
        (event(version="three"), 422),
        (event(version=0), 422),
        (event(version=2**31), 422),
        (event(version=10**30), 422),
        (event(version=str(10**30)), 422),
        (event(version="1" * 10_000), 422),
        (event(name=""), 422),
        (event() | {"action": "deleted"}, 422),
        (event() | {"entity": "registered_model"}, 422),
    ],
)
def test_a_body_that_is_none_of_ours(post: Post, engine: Engine, body: dict[str, Any] | str, status: int) -> None:
    assert post(body).status_code == status
    assert announced(engine) == []


def test_a_model_that_is_not_monitored_is_ignored(post: Post, engine: Engine) -> None:
    answer = post(event("letters"))
    assert (answer.status_code, answer.json()["status"]) == (202, "ignored")
    assert announced(engine) == rows_of(engine, "webhook_deliveries") == []


def test_what_could_not_be_passed_on_may_be_sent_again(post: Post, engine: Engine) -> None:
    with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{free_port()}/api"}):
        answer = post(event())
    assert answer.status_code == 503
    assert announced(engine) == rows_of(engine, "webhook_deliveries") == []
    assert post(event()).status_code == 202


def test_without_a_secret_none_is_taken(engine: Engine) -> None:
    with TestClient(create_app(Settings(), engine)) as client:
        assert client.post("/webhooks/mlflow", json=event()).status_code == 503
