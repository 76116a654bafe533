"""What went wrong is said in words: a page for browsers, JSON for programs, and nothing of the inside."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi import APIRouter, HTTPException
from fastapi.testclient import TestClient
from sqlalchemy import Engine, create_engine

from case_monitor.service import create_app
from case_monitor.service.security_headers import HEADERS
from case_monitor.settings import Settings
from case_monitor.store.migrate import downgrade
from case_monitor.store.open import open_store
from case_monitor.store.tables import VERSION_TABLE
from case_monitor.store.write import save_evaluation
from tests.support.factories import an_evaluation

HTML = {"accept": "text/html"}
SECRET = "hunter2 of some length"

broken = APIRouter()


@broken.get("/raises")
def raises() -> None:
    raise RuntimeError(SECRET)


@broken.get("/refuses/{status}")
def refuses(status: int) -> None:
    raise HTTPException(status, "<script>alert(1)</script>")


class Heading(HTMLParser):
    text = ""
    inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.inside = tag == "h1"

    def handle_data(self, data: str) -> None:
        self.text += data if self.inside else ""

    def handle_endtag(self, tag: str) -> None:
        self.inside = False


def heading(page: str) -> str:
    parser = Heading()
    parser.feed(page)
    return parser.text


@pytest.fixture
def store(tmp_path: Path) -> Engine:
    return open_store(f"sqlite:///{tmp_path / 'results.db'}")


def a_client(engine: Engine) -> TestClient:
    app = create_app(Settings(), engine)
    app.include_router(broken)
    return TestClient(app, raise_server_exceptions=False, follow_redirects=False)


def test_not_found(store: Engine) -> None:
    client = a_client(store)
    answer = client.get("/nothing", headers=HTML)
    assert (answer.status_code, heading(answer.text)) == (404, "Not found")
    assert "There is no such page." in answer.text
    assert client.get("/nothing").json() == {"detail": "There is no such page."}
    assert client.get("/static/nothing.js", headers=HTML).status_code == 404


def test_a_kind_of_request_that_is_not_for_this_address(store: Engine) -> None:
    answer = a_client(store).get("/logout", headers=HTML)
    assert (answer.status_code, heading(answer.text)) == (405, "Not possible here")
    assert answer.headers["allow"] == "POST"


def test_a_wrong_value_is_named_by_its_field_and_not_repeated(store: Engine) -> None:
    client = a_client(store)
    answer = client.get("/?verdict=<b>", headers=HTML)
    assert (answer.status_code, heading(answer.text)) == (422, "Not understood")
    assert "verdict: Input should be" in answer.text
    assert "<b>" not in answer.text
    detail = client.get("/?verdict=<b>").json()["detail"]
    assert detail.startswith("verdict: Input should be 'pass', 'fail' or 'insufficient'")
    assert detail.count("verdict: ") == 1


@pytest.mark.parametrize("status", [400, 403, 404, 409, 418, 429, 451, 503])
def test_reasons_are_text(store: Engine, status: int) -> None:
    answer = a_client(store).get(f"/refuses/{status}", headers=HTML)
    assert answer.status_code == status
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "<script>alert" not in answer.text
    assert heading(answer.text)


def test_an_unexpected_error_shows_nothing_of_the_inside(store: Engine) -> None:
    client = a_client(store)
    for headers in (HTML, {}):
        answer = client.get("/raises", headers=headers)
        assert answer.status_code == 500
        assert "hunter2" not in answer.text
        assert "RuntimeError" not in answer.text
        assert "The service met an error that it does not know." in answer.text
        assert all(answer.headers[name] == value for name, value in HEADERS.items())


@pytest.mark.parametrize("path", ["/nothing", "/", "/raises", "/login", "/static/style.css"])
def test_every_answer_is_guarded(store: Engine, path: str) -> None:
    answer = a_client(store).get(path, headers=HTML)
    assert all(name in answer.headers for name in HEADERS)
    assert answer.headers["content-security-policy"] == HEADERS["Content-Security-Policy"]


def test_an_older_schema(engine: Engine, database_url: str) -> None:
    client = a_client(engine)
    downgrade(database_url, "0003")
    answer = client.get("/", headers=HTML)
    assert (answer.status_code, heading(answer.text)) == (503, "No results at the moment")
    assert "older schema; run: case-monitor db upgrade" in answer.text
    assert client.get("/metrics").json()["detail"].endswith("run: case-monitor db upgrade")
    downgrade(database_url, "base")
    assert "no case_monitor tables yet" in client.get("/", headers=HTML).text


@pytest.mark.parametrize(
    ("revision", "detail"),
    [
        ("9999", "has a newer schema; install the case-monitor that upgraded it"),
        ("0003", "has an older schema; run: case-monitor db upgrade"),
    ],
)
def test_another_schema_under_a_running_service(
    engine: Engine, database_url: str, revision: str, detail: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No page is made of what this code may read wrongly; one that was kept is not shown, either."""
    running = open_store(database_url)
    save_evaluation(running, an_evaluation())
    client = a_client(running)
    pages = ["/", "/model?name=digits", "/evaluation/1", "/api/v1/models", "/metrics", "/readyz"]
    assert [client.get(page, headers=HTML).status_code for page in pages] == [200] * len(pages)
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '{revision}'")
    for page in pages:
        answer = client.get(page, headers=HTML)
        assert (answer.status_code, detail in answer.text) == (503, True), page
    assert client.get("/healthz").status_code == 200
    assert {record.levelname for record in caplog.records if record.name == "case_monitor.service"} == {"ERROR"}
    assert "Traceback" not in caplog.text
    running.dispose()


def test_a_database_that_is_gone(store: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = a_client(store)
    assert client.get("/", headers=HTML).status_code == 200
    store.dispose()
    for file in tmp_path.glob("results.db*"):
        file.unlink()
    (tmp_path / "results.db").mkdir()
    answer = client.get("/", headers=HTML)
    assert (answer.status_code, heading(answer.text)) == (503, "No results at the moment")
    assert "The results database does not answer." in answer.text
    assert str(tmp_path) not in answer.text
    assert str(tmp_path) in caplog.text
    assert client.get("/nothing", headers=HTML).status_code == 404


def test_a_server_that_is_gone(caplog: pytest.LogCaptureFixture) -> None:
    """Neither password, name nor address of the database is shown; the log has all but the password."""
    client = a_client(create_engine("postgresql+psycopg2://me:hunter2@127.0.0.1:1/private"))
    answer = client.get("/", headers=HTML)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "10")
    assert "The results database does not answer." in answer.text
    assert client.get("/metrics").status_code == 503
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert not any(word in answer.text + ready.text for word in ("hunter2", "127.0.0.1", "private"))
    assert "postgresql+psycopg2://me:***@127.0.0.1:1/private" in caplog.text
    assert "hunter2" not in caplog.text
