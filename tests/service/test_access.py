"""Who may see and do what: every kind of address, asked for by everybody who may come along."""

import time
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import Engine

from case_monitor.service import access, create_app, login
from case_monitor.service.sessions import COOKIE, MAX_AGE_S, Sessions
from case_monitor.service.tokens import MAX_WRONG, PERIOD_S, Right, WrongTokens
from case_monitor.settings import Settings
from case_monitor.store.open import open_store
from case_monitor.store.write import save_evaluation
from tests.support.alerting import evaluation_with, found, night

READ, WRITE = "hunter2 for reading", "hunter2 for writing"
TOKENS = {"read_token": READ, "write_token": WRITE}
HTML = {"accept": "text/html,*/*;q=0.8"}
PROXY = {"networks": ["10.0.0.0/8"], "writers": ["ann"]}

CLOSED = (
    "/",
    "/?q=x",
    "/alerts",
    "/evaluation/1",
    "/api/v1/alerts",
    "/nothing",
    "//login",
    "/static",
    "/login/",
    "/healthz/",
)
OPEN = ("/healthz", "/readyz", "/metrics", "/static/style.css", "/static/methods.css", "/login", "/session.json")


@pytest.fixture(autouse=True)
def no_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (access, login):
        monkeypatch.setattr(module, "WRONG_TOKEN_DELAY_S", 0.0)


def a_client(engine: Engine, *, peer: str = "10.0.0.7", **settings: Any) -> TestClient:
    app = create_app(Settings(**settings), engine)
    return TestClient(app, client=(peer, 50000), follow_redirects=False)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One database for all: who may read it is no matter of what is in it."""
    engine = open_store(f"sqlite:///{tmp_path_factory.mktemp('access') / 'results.db'}")
    save_evaluation(engine, evaluation_with(found()), night(1))
    yield engine
    engine.dispose()


@pytest.fixture
def client(engine: Engine) -> TestClient:
    return a_client(engine, **TOKENS)


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def log_in(client: TestClient, token: str) -> str:
    """The form key of the new session, whose cookie the client keeps."""
    answer = client.post("/login", data={"token": token})
    assert answer.status_code == 303, answer.text
    return str(client.get("/session.json").json()["form_key"])


def session_of(client: TestClient) -> dict[str, Any]:
    answer: dict[str, Any] = client.get("/session.json").json()
    return answer


@pytest.mark.parametrize("path", CLOSED)
def test_without_a_token_a_program_gets_401(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json() == {"detail": "You are not logged in, or your session has ended."}
    assert "digits" not in answer.text


@pytest.mark.parametrize("path", CLOSED)
def test_without_a_token_a_browser_is_sent_to_the_login(client: TestClient, path: str) -> None:
    answer = client.get(path, headers=HTML)
    assert answer.status_code == 303
    shown = client.get(answer.headers["location"], headers=HTML)
    assert shown.status_code == 200
    assert "digits" not in shown.text


@pytest.mark.parametrize("path", OPEN)
def test_some_answers_are_for_everybody(client: TestClient, path: str) -> None:
    assert client.get(path, headers=HTML).status_code == 200


def test_the_login_says_nothing_of_what_is_behind_it(client: TestClient) -> None:
    assert 'class="count"' not in client.get("/login", headers=HTML).text
    assert 'class="count"' in client.get("/", headers=HTML | bearer(READ)).text


def test_the_webhook_has_its_own_signature(client: TestClient) -> None:
    assert client.post("/webhooks/mlflow", json={}).status_code == 503  # no secret is configured


@pytest.mark.parametrize("token", [READ, WRITE])
def test_either_token_reads(client: TestClient, token: str) -> None:
    assert client.get("/", headers=bearer(token)).status_code == 200
    assert client.get("/nothing", headers=bearer(token)).status_code == 404


@pytest.mark.parametrize("token", ["", "x", READ[:-1], READ + "x", READ.upper(), "hunter2 für schräge Zeichen"])
def test_a_wrong_token_reads_nothing(client: TestClient, token: str) -> None:
    answer = client.get("/", headers={"authorization": f"Bearer {token}".encode()})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert client.get("/", headers=HTML | {"authorization": f"Bearer {token}".encode()}).status_code == 401
    assert client.post("/login", data={"token": token}).status_code == 403
    assert COOKIE not in client.cookies


def test_a_token_may_hold_any_character(engine: Engine) -> None:
    token = "hunter2 für schräge Zeichen"
    client = a_client(engine, read_token=token)
    assert client.get("/", headers={"authorization": f"Bearer {token}".encode()}).status_code == 200
    assert client.post("/login", data={"token": token}).status_code == 303


def test_other_credentials_are_none(client: TestClient) -> None:
    for value in (READ, f"Basic {READ}", f"Token {READ}", f"Bearer{READ}"):
        assert client.get("/", headers={"authorization": value}).status_code == 401
    assert client.get(f"/?token={READ}").status_code == 401


@pytest.mark.parametrize(("token", "may_write"), [(READ, False), (WRITE, True)])
def test_a_login_lasts(client: TestClient, token: str, may_write: bool) -> None:
    answer = client.post("/login", data={"token": f" {token} ", "next": "/alerts?state=muted"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts?state=muted")
    cookie = answer.headers["set-cookie"]
    assert all(part in cookie for part in ("HttpOnly", "SameSite=strict", f"Max-Age={MAX_AGE_S}", "Path=/"))
    assert "Secure" not in cookie
    assert token not in cookie
    assert client.get("/", headers=HTML).status_code == 200
    assert session_of(client) | {"form_key": None} == {
        "user": None,
        "logged_in": True,
        "may_read": True,
        "may_write": may_write,
        "form_key": None,
    }


def test_behind_https_the_cookie_is_secure_and_stays_below_the_sub_path(engine: Engine) -> None:
    client = a_client(engine, service_url="https://example.org/monitor", **TOKENS)
    cookie = client.post("/login", data={"token": READ}).headers["set-cookie"]
    assert "; Secure" in cookie
    assert "; Path=/monitor;" in cookie


def test_a_logout_ends_it(client: TestClient) -> None:
    key = log_in(client, READ)
    assert client.post("/logout", data={"form_key": "x"}).status_code == 403
    assert client.post("/logout").status_code == 415
    assert client.get("/logout", headers=HTML).status_code == 405
    assert client.get("/").status_code == 200
    answer = client.post("/logout", data={"form_key": key})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert client.get("/").status_code == 401


def test_an_expired_cookie_is_none(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    log_in(client, WRITE)
    now = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + MAX_AGE_S - 5)
    assert client.get("/").status_code == 200
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + MAX_AGE_S + 5)
    assert client.get("/").status_code == 401
    assert client.get("/", headers=HTML).status_code == 303


def test_a_forged_cookie_is_none(client: TestClient) -> None:
    log_in(client, READ)
    genuine = client.cookies[COOKIE]
    signed, _, signature = genuine.rpartition(".")
    forged = [
        URLSafeTimedSerializer(READ, salt="session").dumps(["0" * 32, "write"]),
        f"{signed}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}",  # of its last letter, two bits are none
        genuine.replace(".", "..", 1),
        "x",
        "",
        "." * 5000,
    ]
    for cookie in forged:
        client.cookies.clear()
        assert client.get("/", headers={"cookie": f"{COOKIE}={cookie}"}).status_code == 401, cookie
    assert client.get("/", headers={"cookie": f"{COOKIE}={genuine}"}).status_code == 200


@pytest.mark.parametrize("changed", [{"read_token": "another token here"}, {"write_token": "another token here"}])
def test_another_token_ends_every_session(client: TestClient, engine: Engine, changed: dict[str, str]) -> None:
    log_in(client, READ)
    later = a_client(engine, **TOKENS | changed)
    later.cookies = client.cookies
    assert later.get("/").status_code == 401


def test_a_session_outlives_the_process(client: TestClient, engine: Engine) -> None:
    log_in(client, READ)
    later = a_client(engine, **TOKENS)
    later.cookies = client.cookies
    assert later.get("/").status_code == 200


def test_who_has_the_only_token_makes_no_right_of_it(engine: Engine) -> None:
    """The read token alone is the key, so that whoever has it can sign anything."""
    settings = {"read_token": READ}
    forged = Sessions(Settings(**settings)).start(Right.WRITE)
    answer = a_client(engine, **settings).get("/session.json", headers={"cookie": f"{COOKIE}={forged}"})
    assert answer.json()["may_write"] is False


def test_without_any_setting_everybody_reads_and_nobody_writes(engine: Engine) -> None:
    client = a_client(engine)
    assert client.get("/").status_code == 200
    assert client.post("/alerts/1/acknowledge", data={"by": "x"}).status_code == 403
    assert client.post("/login", data={"token": ""}).status_code == 403
    assert session_of(client)["may_write"] is False
    assert "Log in" not in client.get("/", headers=HTML).text


def test_with_a_write_token_only_everybody_reads(engine: Engine) -> None:
    client = a_client(engine, write_token=WRITE)
    assert client.get("/").status_code == 200
    assert client.post("/nothing").status_code == 401
    assert client.post("/nothing", headers=bearer(WRITE)).status_code == 404


def test_nothing_but_the_login_is_sent_without_a_right(client: TestClient) -> None:
    for path in ("/", "/alerts/1/mute", "/api/v1/alerts/1/mute", "/nothing", "/static2"):
        for method in ("POST", "PUT", "PATCH", "DELETE", "TRACE"):
            assert client.request(method, path).status_code == 401
            assert client.request(method, path, headers=HTML).status_code == 401
            assert client.request(method, path, headers=bearer(READ)).status_code == 403
            assert client.request(method, path, headers=bearer(WRITE)).status_code in {404, 405, 415, 422}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 404),
        ({"sec-fetch-site": "same-origin"}, 404),
        ({"sec-fetch-site": "none"}, 404),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "same-origin-not"}, 403),
        ({"origin": "http://testserver"}, 404),
        ({"origin": "https://monitor.example"}, 404),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "http://testserver:81"}, 403),
        ({"origin": "http://testserver.elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": ""}, 403),
        ({"origin": "http://testserver", "sec-fetch-site": "cross-site"}, 403),
    ],
)
def test_another_site_sends_nothing(engine: Engine, headers: dict[str, str], status: int) -> None:
    client = a_client(engine, service_url="https://monitor.example/", **TOKENS)
    cookie = Sessions(Settings(**TOKENS)).start(Right.WRITE)
    answer = client.post("/nothing", headers=headers | {"cookie": f"{COOKIE}={cookie}"})
    assert answer.status_code == status
    assert client.post("/login", data={"token": READ}, headers=headers).status_code == (303 if status == 404 else 403)
    assert client.post("/nothing", headers=headers | bearer(WRITE)).status_code == 404


@pytest.mark.parametrize(
    ("came", "goes"),
    [
        ("/model?name=a%2Fb", "/model?name=a%2Fb"),
        ("/alerts?next=https://elsewhere.example", "/alerts?next=https://elsewhere.example"),
        ("", "/"),
        ("https://elsewhere.example", "/"),
        ("//elsewhere.example", "/"),
        ("///elsewhere.example", "/"),
        ("/\\elsewhere.example", "/"),
        ("\\\\elsewhere.example", "/"),
        ("/\t/elsewhere.example", "/"),
        ("/\n/elsewhere.example", "/"),
        ("\t//elsewhere.example", "/"),
        (" //elsewhere.example", "/"),
        ("/a\r\nset-cookie: x=y", "/"),
        ("javascript:alert(1)", "/"),
        ("elsewhere.example", "/"),
        ("/login?next=/", "/"),
        ("/%0d%0a", "/%0d%0a"),
    ],
)
def test_a_login_leads_nowhere_else(client: TestClient, came: str, goes: str) -> None:
    answer = client.post("/login", data={"token": READ, "next": came})
    assert (answer.status_code, answer.headers["location"]) == (303, goes)
    client.cookies.clear()
    assert f'name="next" value="{goes}"' in client.get("/login", params={"next": came}, headers=HTML).text


def test_what_was_asked_for_comes_after_the_login(client: TestClient) -> None:
    asked = client.get("/model?name=a%2Fb+%26c&x=1", headers=HTML)
    page = client.get(asked.headers["location"], headers=HTML)
    assert 'name="next" value="/model?name=a%2Fb+%26c&amp;x=1"' in page.text


def test_a_kept_page_is_for_those_who_may_read(client: TestClient) -> None:
    kept = client.get("/", headers=bearer(READ))
    assert kept.status_code == 200
    tag = {"if-none-match": kept.headers["etag"]}
    assert client.get("/", headers=bearer(READ) | tag).status_code == 304
    for headers in ({}, HTML, tag, HTML | tag):
        answer = client.get("/", headers=headers)
        assert answer.status_code in {303, 401}
        assert "digits" not in answer.text
        assert "etag" not in answer.headers


def test_a_kept_page_says_nothing_of_who_asked(engine: Engine) -> None:
    client = a_client(engine, trusted_proxy=PROXY, **TOKENS)
    pages = {
        client.get("/", headers=HTML | who).text for who in (bearer(READ), bearer(WRITE), {"x-forwarded-user": "ann"})
    }
    log_in(client, WRITE)
    pages.add(client.get("/", headers=HTML).text)
    assert len(pages) == 1
    assert "ann" not in pages.pop()


def test_too_many_wrong_logins(client: TestClient) -> None:
    for _ in range(MAX_WRONG):
        assert client.post("/login", data={"token": "wrong"}).status_code == 403
    answer = client.post("/login", data={"token": READ}, headers=HTML)
    assert (answer.status_code, answer.headers["retry-after"]) == (429, str(PERIOD_S))
    assert COOKIE not in client.cookies
    assert client.get("/", headers=bearer(READ)).status_code == 200


def test_too_many_wrong_bearers_keep_nobody_else_out(client: TestClient) -> None:
    for _ in range(MAX_WRONG):
        assert client.get("/", headers=bearer("wrong")).status_code == 401
    assert client.get("/", headers=bearer("wrong")).status_code == 429
    assert client.get("/", headers=bearer(READ)).status_code == 200
    assert client.post("/login", data={"token": READ}).status_code == 303


def test_wrong_tokens_are_forgiven_after_a_minute() -> None:
    now = 100.0
    wrong = WrongTokens(lambda: now)
    for _ in range(MAX_WRONG):
        assert not wrong.too_many()
        wrong.note()
        now += 1
    assert wrong.too_many()
    now = 100.0 + PERIOD_S
    assert not wrong.too_many()
    wrong.note()
    assert wrong.too_many()


def test_a_wrong_token_takes_its_time(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "WRONG_TOKEN_DELAY_S", 0.2)
    monkeypatch.setattr(login, "WRONG_TOKEN_DELAY_S", 0.2)
    for send in (lambda: client.get("/", headers=bearer("x")), lambda: client.post("/login", data={"token": "x"})):
        began = time.monotonic()
        send()
        assert time.monotonic() - began >= 0.2


def test_no_answer_and_no_log_holds_a_token(client: TestClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    log_in(client, WRITE)
    answers = [client.get(path, headers=HTML) for path in (*CLOSED, *OPEN)]
    answers += [client.get("/", headers=bearer(token)) for token in (READ, WRITE, READ + "x")]
    answers += [
        client.post("/login", data={"token": token, "next": "x"}, headers=HTML) for token in (READ, WRITE + "x")
    ]
    said = caplog.text + "".join(f"{answer.headers}{answer.text}" for answer in answers)
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("peer", "headers", "user"),
    [
        ("10.1.2.3", {"x-forwarded-user": "ann"}, "ann"),
        ("::ffff:10.1.2.3", {"x-forwarded-user": "ann"}, "ann"),
        ("10.1.2.3", {"X-Forwarded-User": " bob "}, "bob"),
        ("10.1.2.3", {"x-forwarded-user": "Zoë".encode()}, "Zoë"),
        ("10.1.2.3", {}, None),
        ("10.1.2.3", {"x-forwarded-user": ""}, None),
        ("10.1.2.3", {"x-forwarded-user": "x" * 201}, None),
        ("11.0.0.1", {"x-forwarded-user": "ann"}, None),
        ("11.0.0.1", {"x-forwarded-user": "ann", "x-forwarded-for": "10.1.2.3", "forwarded": "for=10.1.2.3"}, None),
        ("11.0.0.1", {"x-forwarded-user": "ann", "x-real-ip": "10.1.2.3"}, None),
        ("testclient", {"x-forwarded-user": "ann"}, None),
    ],
)
def test_a_name_counts_from_the_proxy_only(engine: Engine, peer: str, headers: Any, user: str | None) -> None:
    client = a_client(engine, peer=peer, trusted_proxy=PROXY)
    answer = client.get("/session.json", headers=headers).json()
    assert (answer["user"], answer["may_read"]) == (user, user is not None)
    assert answer["may_write"] is (user == "ann")
    assert client.get("/", headers=headers).status_code == (401 if user is None else 200)


def test_of_two_names_none_counts(engine: Engine) -> None:
    client = a_client(engine, trusted_proxy=PROXY)
    names = [("x-forwarded-user", "ann"), ("x-forwarded-user", "bob")]
    assert client.get("/", headers=names).status_code == 401


def test_without_a_proxy_no_name_counts(engine: Engine) -> None:
    client = a_client(engine, **TOKENS)
    assert client.get("/", headers={"x-forwarded-user": "ann"}).status_code == 401


def test_a_user_of_the_proxy_needs_the_form_key_too(engine: Engine) -> None:
    client, ann = a_client(engine, trusted_proxy=PROXY), {"x-forwarded-user": "ann"}
    key = client.get("/session.json", headers=ann).json()["form_key"]
    assert client.post("/logout", data={}, headers=ann).status_code in {403, 415}
    assert client.post("/logout", data={"form_key": "x"}, headers=ann).status_code == 403
    assert client.post("/logout", data={"form_key": key}, headers={"x-forwarded-user": "bob"}).status_code == 403
    assert client.post("/logout", data={"form_key": key}, headers=ann).status_code == 303


def test_a_proxy_may_send_its_own_bearer(engine: Engine) -> None:
    client = a_client(engine, trusted_proxy=PROXY, **TOKENS)
    assert client.get("/", headers={"x-forwarded-user": "ann"} | bearer("the proxy's")).status_code == 200
    assert client.get("/", headers=bearer("the proxy's")).status_code == 401


@pytest.mark.parametrize("writers", ["*", ["ann"], []])
def test_writers(engine: Engine, writers: Any) -> None:
    client = a_client(engine, trusted_proxy=PROXY | {"writers": writers})
    for name in ("ann", "bob", "*"):
        answer = client.get("/session.json", headers={"x-forwarded-user": name}).json()
        assert answer["may_write"] is (writers == "*" or name in writers)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("LOCALHOST:8000", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("192.168.1.5", 200),
        ("monitor.example", 200),
        ("monitor.example.:443", 200),
        ("other.example", 200),
        ("testserver", 421),
        ("rebound.example", 421),
        ("monitor.example.rebound.example", 421),
        ("localhost.rebound.example", 421),
        ("rebound.example@localhost", 421),
        ("localhost/x", 421),
        ("", 421),
        ("[", 421),
        ("localhost:x", 421),
    ],
)
def test_pages_answer_to_names_that_they_know(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, host: str, status: int
) -> None:
    monkeypatch.delenv("CASE_MONITOR_ALLOWED_HOSTS")  # which lets the other tests in
    client = a_client(engine, service_url="https://monitor.example", allowed_hosts=["other.example"])
    for path in ("/", "/login", "/session.json", "/static/style.css"):
        assert client.get(path, headers={"host": host}).status_code == status
        assert client.get(path, headers=HTML | {"host": host}).status_code == status
    for path in ("/healthz", "/readyz", "/metrics"):
        assert client.get(path, headers={"host": host}).status_code == 200
    assert client.post("/webhooks/mlflow", json={}, headers={"host": host}).status_code == 503


def test_browsers_keep_scripts_and_styles_and_ask_whether_they_changed(engine: Engine) -> None:
    client = a_client(engine, **TOKENS)
    first = client.get("/static/style.css")
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    again = client.get("/static/style.css", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.headers["cache-control"], again.content) == (304, "no-cache", b"")
    assert client.get("/static/nothing.css").headers["cache-control"] == "no-store"


@pytest.mark.parametrize("prefix", ["", "/monitor"])
def test_below_a_sub_path(engine: Engine, prefix: str) -> None:
    """Whether the proxy passes the path on or takes it off."""
    client = a_client(engine, service_url="https://testserver/monitor/", **TOKENS)
    asked = client.get(f"{prefix}/alerts?state=all", headers=HTML)
    assert asked.headers["location"] == "/monitor/login?next=%2Falerts%3Fstate%3Dall"
    page = client.get(f"{prefix}/login", headers=HTML)
    assert 'href="/monitor/static/style.css' in page.text
    assert client.get(f"{prefix}/static/style.css").status_code == 200
    missing = client.get(f"{prefix}/static/nothing.css", headers=HTML)
    assert missing.status_code == 404
    assert 'href="/monitor/static/style.css' in missing.text
    assert client.get(f"{prefix}/healthz").status_code == 200
    answer = client.post(f"{prefix}/login", data={"token": READ, "next": "/alerts"})
    assert answer.headers["location"] == "/monitor/alerts"
    overview = client.get(f"{prefix}/", headers=HTML | bearer(READ))
    assert 'href="/monitor/"' in overview.text
