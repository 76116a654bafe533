"""An answer is kept exactly as long as the database says the same."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from time import sleep
from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Request, Response
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from case_monitor.dashboard.shell.page_cache import PageCache
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.reproduction import Reproduction
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.read.changes import change_token
from case_monitor.store.write import (
    acknowledge,
    mark_promotion_applied,
    mute,
    record_promotion,
    save_evaluation,
    save_reproduction,
    unmute,
)
from tests.support.alerting import night
from tests.support.factories import an_evaluation


@dataclass(frozen=True)
class Asked:
    x: str
    y: int
    size: int


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    """Answers with how often it had to render, and with as much that cannot be compressed."""
    app, cache, rendered = FastAPI(), PageCache(max_bytes=10_000), iter(range(1000))

    def chosen(y: int = 0) -> int:
        return y

    @app.get("/{path:path}")
    def show(request: Request, y: Annotated[int, Depends(chosen)], size: int = 0, x: str = "") -> Response:
        noise, asked = Random(0).randbytes(size).hex(), Asked(x=x, y=y, size=size)
        return cache.answer(request, engine, asked, "text/plain", lambda: f"{next(rendered)}{noise}".encode())

    with TestClient(app) as client:
        yield client


def test_the_same_address_is_rendered_once(client: TestClient) -> None:
    assert [client.get(path).text for path in ("/a", "/a", "/b", "/a?x=1", "/a")] == ["0", "0", "1", "2", "0"]


def test_what_the_route_does_not_read_makes_no_other_page(client: TestClient) -> None:
    assert [client.get(path).text for path in ("/a?x=1&size=0", "/a?size=0&x=1", "/a?x=1&size=0&junk=7")] == ["0"] * 3
    assert client.get("/a?x=2&size=0").text == "1"
    assert client.get("/a?x=2&size=0&y=1").text == "2"  # read by what the route depends on


def test_who_asks_while_a_page_is_made_waits_for_it(engine: Engine) -> None:
    app, cache, rendered = FastAPI(), PageCache(), []

    def render() -> bytes:
        rendered.append(1)
        sleep(0.5)
        return b"made"

    @app.get("/")
    def show(request: Request) -> Response:
        return cache.answer(request, engine, None, "text/plain", render)

    with TestClient(app) as client, ThreadPoolExecutor(8) as readers:
        answers = list(readers.map(lambda _: client.get("/").text, range(8)))
    assert answers == ["made"] * 8
    assert len(rendered) == 1


def test_what_the_browser_has_is_not_sent_again(client: TestClient, engine: Engine) -> None:
    first = client.get("/a")
    again = client.get("/a", headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    save_evaluation(engine, an_evaluation())
    assert client.get("/a", headers={"If-None-Match": first.headers["etag"]}).status_code == 200


def test_who_cannot_unpack_gets_it_plain(client: TestClient) -> None:
    packed = client.get("/a", headers={"Accept-Encoding": "gzip"})
    plain = client.get("/a", headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.text == plain.text == "0"


def test_an_answer_that_is_too_large_is_given_and_not_kept(client: TestClient) -> None:
    assert [client.get("/?size=20000").text[0] for _ in range(2)] == ["0", "1"]


def test_everything_that_pages_show_changes_the_token(engine: Engine) -> None:
    seen = [change_token(engine)]

    def changed() -> bool:
        seen.append(change_token(engine))
        return seen[-1] not in seen[:-1]

    evaluation_id = save_evaluation(engine, an_evaluation(), night(1))
    assert changed()
    save_evaluation(engine, an_evaluation(), night(2))
    assert changed()
    promotion = Promotion(
        model_name="digits",
        alias="champion",
        version=1,
        previous_version=None,
        decision=Decision.WITHHELD,
        evaluation_id=evaluation_id,
        reason="",
    )
    promotion_id = record_promotion(engine, promotion)
    assert changed()
    mark_promotion_applied(engine, promotion_id)
    assert changed()
    [alert] = load_alert_lives(engine)
    acknowledge(engine, alert.id, "Ann")
    assert changed()
    mute(engine, alert.id, datetime.now(UTC) + timedelta(days=1), "known", "Ann")
    assert changed()
    mute(engine, alert.id, datetime.now(UTC) + timedelta(hours=1), "known", "Ann")
    assert changed()
    unmute(engine, alert.id)
    assert change_token(engine) == seen[-3]  # as it was before
    same = Reproduction(n=9, changed_predictions=0, confidence_difference=0.0, score_difference=0.0, worst="")
    save_reproduction(engine, evaluation_id, same, an_evaluation(), night(3), "cpu", "2.13.0+cpu")
    assert changed()
