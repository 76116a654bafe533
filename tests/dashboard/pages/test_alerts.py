"""The alerts page: what is listed is what is stored, and what people do is done, or said why not."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi.testclient import TestClient
from httpx import Response
from sqlalchemy import Engine

from case_monitor.domain.status import Status
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.read.alerts import StoredAlert, load_alert_lives
from case_monitor.store.write import acknowledge, mute, save_evaluation
from tests.support.alerting import evaluation_with, found, night, recall

READ, WRITE = "hunter2 for reading", "hunter2 for writing"
HTML = {"accept": "text/html"}
EVIL = 'a "quoted" <script>alert(1)</script>/slash'
SOON = datetime.now(UTC).replace(microsecond=0, second=0) + timedelta(days=3)

Send = Callable[..., Response]


class Page(HTMLParser):
    """The ids of the alerts on the page, the fields of its forms, and its text."""

    def __init__(self, answer: Response) -> None:
        super().__init__()
        self.alerts: list[int] = []
        self.actions: list[str] = []
        self.links: list[str] = []
        self.inputs: dict[tuple[str, str], str | None] = {}
        self.words: list[str] = []
        self.feed(answer.text)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "article":
            self.alerts.append(int(str(given["id"]).removeprefix("alert-")))
        if tag == "form":
            self.actions.append(str(given.get("action")))
        if tag == "a":
            self.links.append(str(given["href"]))
        if tag == "input":
            self.inputs[self.actions[-1], str(given["name"])] = given.get("value")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture
def client(engine: Engine) -> TestClient:
    """A browser without a login, for a service that all may read and some may write."""
    app = create_app(Settings(write_token=WRITE), engine)
    return TestClient(app, follow_redirects=False, headers=HTML)


@pytest.fixture
def send(client: TestClient) -> Send:
    """Sends a form of the page as its writer."""
    client.post("/login", data={"token": WRITE})
    key = client.get("/session.json").json()["form_key"]

    def post(path: str, **fields: str) -> Response:
        return client.post(path, data={"form_key": key} | fields)

    return post


def shown(client: TestClient, path: str = "/alerts") -> Page:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == ("no-store" if client.cookies else "private, no-cache")  # for whom
    return Page(answer)


def stored(engine: Engine, alert_id: int) -> StoredAlert:
    [alert] = [alert for alert in load_alert_lives(engine, resolved=True) if alert.id == alert_id]
    return alert


def some_alerts(engine: Engine) -> dict[str, int]:
    """Ids: digits has a resolved, an acknowledged and a muted alert, letters an open one of each severity."""
    save_evaluation(engine, evaluation_with(found()), night(1))
    save_evaluation(engine, evaluation_with(found(status=Status.PASS), recall(1), recall(2), version=2), night(2))
    save_evaluation(engine, evaluation_with(found(), recall(0), name="letters"), night(3))
    names = {}
    for alert in load_alert_lives(engine, resolved=True):
        names[f"{alert.model_name} {alert.rule} {alert.class_idx}"] = alert.id
    acknowledge(engine, names["digits recall 1"], "Ann")
    mute(engine, names["digits recall 2"], SOON, "a new camera", "Bo")
    return names


def test_nothing_so_far(client: TestClient) -> None:
    page = shown(client)
    assert page.alerts == []
    assert "No alert so far" in page.text
    assert "No alert fits" in shown(client, "/alerts?model=nobody").text


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"letters agreement_median None", "letters recall 0", "digits recall 1", "digits recall 2"}),
        ("?state=muted", {"digits recall 2"}),
        ("?state=acknowledged", {"digits recall 1"}),
        ("?state=resolved", {"digits agreement_median None"}),
        ("?state=all&model=digits", {"digits agreement_median None", "digits recall 1", "digits recall 2"}),
        ("?model=letters&severity=warn", {"letters recall 0"}),
        ("?severity=block", {"letters agreement_median None"}),
        ("?model=letters&state=resolved", set()),
        ("?model=digits%00", set()),
    ],
)
def test_a_view_has_its_alerts(client: TestClient, engine: Engine, query: str, expected: set[str]) -> None:
    names = some_alerts(engine)
    page = shown(client, f"/alerts{query}")
    assert set(page.alerts) == {names[name] for name in expected}
    assert page.alerts == sorted(page.alerts, key=lambda i: (stored(engine, i).opened_at, i), reverse=True)


def test_states_are_counted_for_the_chosen_model(client: TestClient, engine: Engine) -> None:
    some_alerts(engine)
    text = shown(client, "/alerts?model=digits").text
    assert "open (2) muted (1) acknowledged (1) resolved (1) all (3)" in text
    assert "open (1) muted (0)" in shown(client, "/alerts?model=letters&severity=warn").text


def test_an_alert_says_what_is_stored(client: TestClient, engine: Engine) -> None:
    names = some_alerts(engine)
    first = save_evaluation(engine, evaluation_with(recall(1), recall(2), version=2), night(4))
    page = shown(client, "/alerts?state=acknowledged")
    alert = stored(engine, names["digits recall 1"])
    for expected in (
        alert.message,
        alert.advice,
        "version 2 production",
        "Acknowledged",
        "by Ann",
        "Since 2026-10-02 02:00 UTC",
        "Last seen 2026-10-04 02:00 UTC",
        "Observed 2 times",
        "At worst warn, fail",
        "Rule recall , class dog",
    ):
        assert expected in page.text.replace("recall, class", "recall , class"), expected
    assert "/model?name=digits" in page.links
    assert f"/evaluation/{first}" in page.links
    muted = shown(client, "/alerts?state=muted").text
    assert f"Muted by Bo until {SOON:%Y-%m-%d %H:%M} UTC : a new camera" in muted
    assert "Resolved 2026-10-02 02:00 UTC : 0.900" in shown(client, "/alerts?state=resolved").text


def test_a_mute_that_has_ended_is_none(client: TestClient, engine: Engine) -> None:
    names = some_alerts(engine)
    mute(engine, names["digits recall 2"], datetime.now(UTC) - timedelta(seconds=1), "over", "Bo")
    assert shown(client, "/alerts?state=muted").alerts == []
    assert "Muted" not in shown(client).text


def test_long_lists_have_pages(client: TestClient, engine: Engine) -> None:
    for i in range(26):
        save_evaluation(engine, evaluation_with(found(), name=f"model {i}"), night(1 + i))
    first, second = shown(client), shown(client, "/alerts?page=2")
    assert (len(first.alerts), len(second.alerts)) == (25, 1)
    assert "/alerts?page=2" in first.links
    assert "/alerts" in second.links
    assert shown(client, "/alerts?page=1000000").alerts == second.alerts
    assert sorted(first.alerts + second.alerts) == [alert.id for alert in load_alert_lives(engine)][::-1]


@pytest.mark.parametrize(
    "query", ["state=x", "severity=x", "page=0", "page=x", "page=99999999999999999999", "done=x", "alert=x"]
)
def test_a_wrong_view_is_refused(client: TestClient, query: str) -> None:
    answer = client.get(f"/alerts?{query}")
    assert answer.status_code == 422
    assert f"{query.partition('=')[0]}: " in answer.text


def test_hostile_texts_are_text(client: TestClient, engine: Engine, send: Send) -> None:
    names = ("a", EVIL, "c", "d")
    save_evaluation(engine, evaluation_with(found(), recall(1), name=EVIL, class_names=names), night(1))
    first, second = (alert.id for alert in load_alert_lives(engine))
    assert send(f"/alerts/{first}/acknowledge", by=EVIL).status_code == 303
    until = f"{SOON:%Y-%m-%dT%H:%M}"
    assert send(f"/alerts/{second}/mute", reason=EVIL, until=until, by=EVIL).status_code == 303
    assert send(f"/alerts/{second}/mute", reason=EVIL, until=EVIL, by=EVIL).status_code == 422
    for answer in (
        client.get("/alerts", params={"model": EVIL}),
        client.get("/alerts", params={"model": EVIL + "'"}),
        send(f"/alerts/{second}/mute", reason=EVIL, until=EVIL, by=EVIL),
    ):
        assert "<script>alert(1)" not in answer.text
        assert "&lt;script&gt;alert(1)" in answer.text


def test_who_may_not_write_is_told_how_to(engine: Engine) -> None:
    some_alerts(engine)
    proxy = {"networks": ["10.0.0.0/8"], "writers": ["ann"]}

    def page(headers: dict[str, str] | None = None, **settings: Any) -> Page:
        app = create_app(Settings(**settings), engine)
        return Page(TestClient(app, client=("10.0.0.1", 1)).get("/alerts?state=all", headers=HTML | (headers or {})))

    nobody = page()
    assert "neither write_token nor trusted_proxy is set" in nobody.text
    assert "case-monitor alerts ack" in nobody.text
    token = page(write_token=WRITE)
    assert "log in with the write token" in token.text
    assert "/login?next=%2Falerts%3Fstate%3Dall" in token.links
    bob = page({"x-forwarded-user": "bob"}, trusted_proxy=proxy)
    assert "have whoever runs the service name bob among the writers of trusted_proxy" in bob.text
    for found_page in (nobody, token, bob):
        assert not any(action.startswith("/alerts/") for action in found_page.actions)
    ann = page({"x-forwarded-user": "ann"}, trusted_proxy=proxy)
    assert any(action.startswith("/alerts/") for action in ann.actions)
    assert "You are ann" in ann.text


def test_resolved_alerts_have_no_forms(client: TestClient, engine: Engine, send: Send) -> None:
    some_alerts(engine)
    assert any(action.startswith("/alerts/") for action in shown(client).actions)
    assert shown(client, "/alerts?state=resolved").actions == ["/alerts"]


def test_acknowledge(client: TestClient, engine: Engine, send: Send) -> None:
    alert_id = some_alerts(engine)["letters recall 0"]
    path = f"/alerts/{alert_id}/acknowledge?model=letters&severity=warn"
    assert path in shown(client, "/alerts?model=letters&severity=warn").actions
    answer = send(path, by="  Zoë \n Müller ")
    assert answer.status_code == 303
    view = f"/alerts?model=letters&severity=warn&done=acknowledge&alert={alert_id}"
    assert answer.headers["location"] == view
    assert f"Alert {alert_id} is acknowledged." in shown(client, view).text
    assert stored(engine, alert_id).acknowledged_by == "Zoë Müller"


def test_a_user_of_the_proxy_acknowledges_by_that_name(engine: Engine) -> None:
    alert_id = some_alerts(engine)["letters recall 0"]
    app = create_app(Settings(trusted_proxy={"networks": ["10.0.0.1"], "writers": "*"}), engine)
    client = TestClient(app, client=("10.0.0.1", 1), follow_redirects=False, headers={"x-forwarded-user": "bob"})
    key = client.get("/session.json").json()["form_key"]
    answer = client.post(f"/alerts/{alert_id}/acknowledge", data={"form_key": key, "by": "somebody else"})
    assert answer.status_code == 303
    assert stored(engine, alert_id).acknowledged_by == "bob"


@pytest.mark.parametrize(
    ("fields", "until"),
    [
        ({"until": f"{SOON:%Y-%m-%dT%H:%M}"}, SOON),
        ({"until": f"{SOON:%Y-%m-%d}T00:00", "until_utc": f"{SOON:%Y-%m-%dT%H:%M}:00.000Z"}, SOON),
    ],
)
def test_mute_and_unmute(
    client: TestClient, engine: Engine, send: Send, fields: dict[str, str], until: datetime
) -> None:
    alert_id = some_alerts(engine)["letters recall 0"]
    answer = send(f"/alerts/{alert_id}/mute?page=1", reason="a new lens", by="Bo", **fields)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/alerts?done=mute&alert={alert_id}")
    alert = stored(engine, alert_id)
    assert (alert.muted_until, alert.mute_reason, alert.muted_by) == (until, "a new lens", "Bo")
    assert f"/alerts/{alert_id}/unmute" in shown(client).actions
    assert send(f"/alerts/{alert_id}/unmute").status_code == 303
    assert stored(engine, alert_id).muted_until is None
    assert f"/alerts/{alert_id}/unmute" not in shown(client).actions


def test_an_address_claims_nothing_that_was_not_done(client: TestClient, engine: Engine) -> None:
    names = some_alerts(engine)
    open_one, muted, acknowledged = (names[name] for name in ("letters recall 0", "digits recall 2", "digits recall 1"))
    for action, alert_id in (("acknowledge", open_one), ("mute", open_one), ("unmute", muted), ("mute", 4711)):
        assert f"Alert {alert_id} is" not in shown(client, f"/alerts?done={action}&alert={alert_id}").text
    for action, alert_id in (("acknowledge", acknowledged), ("mute", muted), ("unmute", acknowledged)):
        assert f"Alert {alert_id} is" in shown(client, f"/alerts?done={action}&alert={alert_id}").text


def test_readers_get_a_kept_page_until_an_alert_changes(engine: Engine) -> None:
    alert_id = some_alerts(engine)["letters recall 0"]
    reader = TestClient(create_app(Settings(), engine))
    etag = reader.get("/alerts?model=letters").headers["etag"]
    assert reader.get("/alerts?model=letters", headers={"If-None-Match": etag}).status_code == 304
    assert reader.get("/alerts?model=digits").headers["etag"] != etag
    mute(engine, alert_id, SOON, "a new lens", "Bo")
    answer = reader.get("/alerts?model=letters", headers={"If-None-Match": etag})
    assert answer.status_code == 200
    assert "Muted by Bo" in Page(answer).text


@pytest.mark.parametrize(
    ("action", "fields", "problem"),
    [
        ("acknowledge", {}, "Say who,"),
        ("acknowledge", {"by": " \n "}, "Say who,"),
        ("acknowledge", {"by": "a\0b"}, "Say who,"),
        ("acknowledge", {"by": "x" * 201}, "Say who,"),
        ("mute", {"by": "Bo", "until": "2999-01-01T00:00"}, "Say why"),
        ("mute", {"by": "Bo", "until": "2999-01-01T00:00", "reason": "x" * 1001}, "Say why"),
        ("mute", {"until": "2999-01-01T00:00", "reason": "<lens>"}, "Say who,"),
        ("mute", {"by": "Bo", "reason": "<lens>"}, "Say until when"),
        ("mute", {"by": "Bo", "reason": "<lens>", "until": "2020-01-01T00:00"}, "Say until when"),
        ("mute", {"by": "Bo", "reason": "<lens>", "until": "Friday"}, "Say until when"),
        ("mute", {"by": "Bo", "reason": "<lens>", "until": "9999-12-31T23:59"}, "Say until when"),
        ("mute", {"by": "Bo", "reason": "<lens>", "until_utc": "9999-12-31T23:59:59-23:59"}, "Say until when"),
        ("mute", {"by": "Bo", "reason": "<lens>", "until_utc": "0001-01-01T00:00:00+23:59"}, "Say until when"),
        ("mute", {"by": "Bo", "reason": "<lens>", "until_utc": "1e400"}, "Say until when"),
    ],
)
def test_what_is_missing_is_said_beside_the_form(
    engine: Engine, send: Send, action: str, fields: dict[str, str], problem: str
) -> None:
    alert_id = some_alerts(engine)["letters recall 0"]
    before = stored(engine, alert_id)
    answer = send(f"/alerts/{alert_id}/{action}?model=letters", **fields)
    page = Page(answer)
    assert answer.status_code == 422
    assert problem in page.text
    assert f"Alert {alert_id} is as it was" in page.text
    assert len(page.alerts) == 2
    form = f"/alerts/{alert_id}/{action}?model=letters"
    for name, typed in fields.items():
        if name != "until_utc" and "\0" not in typed:
            assert page.inputs[form, name] == typed
    assert stored(engine, alert_id) == before


@pytest.mark.parametrize("alert_id", ["resolved", "unknown"])
def test_an_alert_that_is_not_open(engine: Engine, send: Send, alert_id: str) -> None:
    names = some_alerts(engine)
    number = names["digits agreement_median None"] if alert_id == "resolved" else 4711
    for action, fields in {
        "acknowledge": {"by": "x"},
        "mute": {"by": "x", "reason": "x", "until": "2999-01-01T00:00"},
        "unmute": {},
    }.items():
        answer = send(f"/alerts/{number}/{action}", **fields)
        assert answer.status_code == 409
        assert f"Alert {number} is not open any more" in Page(answer).text


@pytest.mark.parametrize("path", ["/alerts/0/mute", "/alerts/x/mute", "/alerts/99999999999/mute", "/alerts/1/delete"])
def test_wrong_addresses(engine: Engine, send: Send, path: str) -> None:
    assert send(path).status_code == 422


def test_forms_need_their_key(client: TestClient, engine: Engine, send: Send) -> None:
    alert_id = some_alerts(engine)["letters recall 0"]
    path = f"/alerts/{alert_id}/acknowledge"
    for fields in ({"by": "x"}, {"by": "x", "form_key": "0" * 64}, {"by": "x", "form_key": ""}, {"form_key": "é"}):
        answer = client.post(path, data=fields)
        assert answer.status_code == 403
        assert "This form is out of date" in answer.text
    assert client.post(path, json={"by": "x"}).status_code == 415
    assert client.post(path, data={"by": "x" * 20_000}).status_code == 413
    assert client.post(path, data={f"f{i}": "" for i in range(30)}).status_code == 422
    for method in ("GET", "PUT", "DELETE"):
        assert client.request(method, path).status_code == 405
    assert stored(engine, alert_id).acknowledged_by is None


def test_a_reader_writes_nothing(client: TestClient, engine: Engine) -> None:
    alert_id = some_alerts(engine)["letters recall 0"]
    reader = TestClient(create_app(Settings(read_token=READ, write_token=WRITE), engine), follow_redirects=False)
    reader.post("/login", data={"token": READ})
    key = reader.get("/session.json").json()["form_key"]
    path = f"/alerts/{alert_id}/acknowledge"
    assert reader.post(path, data={"form_key": key, "by": "x"}).status_code == 403
    assert client.post(path, data={"by": "x"}).status_code == 401
    assert stored(engine, alert_id).acknowledged_by is None
