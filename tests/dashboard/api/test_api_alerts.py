"""Programs acknowledge and mute with the write token, and with nothing else."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from case_monitor.domain.status import Status
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.write import save_evaluation
from tests.support.alerting import evaluation_with, found, night

READ, WRITE = "hunter2 for reading", "hunter2 for writing"
WHY = {"reason": "x", "by": "Bo"}
BODIES: dict[str, Any] = {
    "acknowledge": {"by": "Ann"},
    "mute": {"until": "2999-12-24T10:00:00+02:00", "reason": "a new camera", "by": "Bo"},
    "unmute": None,
}


@pytest.fixture
def client(engine: Engine) -> TestClient:
    save_evaluation(engine, evaluation_with(found()), night(1))
    return TestClient(create_app(Settings(read_token=READ, write_token=WRITE), engine))


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def address(action: str, alert_id: int = 1) -> str:
    return f"/api/v1/alerts/{alert_id}/{action}"


def test_what_is_done_is_answered(client: TestClient, engine: Engine) -> None:
    answer = client.post(address("acknowledge"), json=BODIES["acknowledge"], headers=bearer(WRITE))
    assert answer.status_code == 200
    assert (answer.json()["alert"]["acknowledged_by"], answer.json()["muted"]) == ("Ann", False)
    answer = client.post(address("mute"), json=BODIES["mute"], headers=bearer(WRITE))
    alert = answer.json()["alert"]
    assert (alert["mute_reason"], alert["muted_by"], answer.json()["muted"]) == ("a new camera", "Bo", True)
    [alert] = load_alert_lives(engine)
    assert (alert.acknowledged_by, alert.muted_until) == ("Ann", datetime(2999, 12, 24, 8, tzinfo=UTC))
    answer = client.post(address("unmute"), headers=bearer(WRITE))
    assert (answer.status_code, answer.json()["alert"]["muted_until"], answer.json()["muted"]) == (200, None, False)


@pytest.mark.parametrize("action", BODIES)
def test_only_the_write_token_does(client: TestClient, engine: Engine, action: str) -> None:
    def status(**headers: str) -> int:
        return client.post(address(action), json=BODIES[action], headers=headers).status_code

    assert status() == 401
    assert status(**bearer("x")) == 401
    assert status(**bearer(READ)) == 403
    client.post("/login", data={"token": WRITE})
    assert client.get("/session.json").json()["may_write"]
    assert status() == 401
    [alert] = load_alert_lives(engine)
    assert (alert.acknowledged_by, alert.muted_until) == (None, None)
    assert client.get(address(action), headers=bearer(WRITE)).status_code == 405


@pytest.mark.parametrize("action", BODIES)
def test_what_is_not_open(client: TestClient, engine: Engine, action: str) -> None:
    assert client.post(address(action, 7), json=BODIES[action], headers=bearer(WRITE)).status_code == 404
    save_evaluation(engine, evaluation_with(found(status=Status.PASS)), night(2))
    answer = client.post(address(action), json=BODIES[action], headers=bearer(WRITE))
    assert (answer.status_code, answer.json()) == (409, {"detail": "Alert 1 is resolved."})


@pytest.mark.parametrize(
    ("action", "body", "problem"),
    [
        ("acknowledge", {}, "by: Field required"),
        ("acknowledge", {"by": ""}, "by: a text without control characters was expected"),
        ("acknowledge", {"by": "\ud800"}, "by: "),
        ("acknowledge", {"by": "a\0b"}, "by: a text without control characters was expected"),
        ("acknowledge", {"by": "Ann", "to": "x"}, "to: Extra inputs are not permitted"),
        ("mute", {"until": "2999-12-24T10:00:00"} | WHY, "until: Input should have timezone info"),
        ("mute", {"until": "2020-12-24T10:00:00Z"} | WHY, "until: a time in the future was expected"),
        ("mute", {"until": "9999-12-31T23:59:59-12:00"} | WHY, "until: a time in the future was expected"),
        ("mute", {"until": "2999-12-24T10:00:00Z", "by": "Bo"}, "reason: Field required"),
        ("mute", {"until": "2999-12-24T10:00:00Z", "reason": "x"}, "by: Field required"),
        ("mute", [], "body: "),
        ("mute", None, "body: Field required"),
    ],
)
def test_a_wrong_body_is_named_by_its_field(client: TestClient, action: str, body: Any, problem: str) -> None:
    headers = bearer(WRITE) | {"content-type": "application/json"}
    answer = client.post(address(action), content=json.dumps(body), headers=headers)
    assert answer.status_code == 422
    assert problem in answer.json()["detail"]


def test_text_that_is_no_json(client: TestClient) -> None:
    headers = bearer(WRITE) | {"content-type": "application/json"}
    answer = client.post(address("mute"), content="{", headers=headers)
    assert answer.status_code == 422
