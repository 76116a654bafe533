"""A version that is in production against its verdict: everybody who looks sees who answers for it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from case_monitor.alerts.override import Override
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.write import apply_override, mark_promotion_applied, record_promotion, save_evaluation
from tests.support.factories import an_evaluation

UNTIL = datetime(2999, 12, 24, 12, 30, tzinfo=UTC)
SEEN = "overridden by Ann &lt;b&gt; until 2999-12-24 12:30 UTC: new camera &lt;script&gt;alert(1)&lt;/script&gt;"
REASON = "new camera <script>alert(1)</script>"


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(), engine)) as client:
        yield client


def decided(evaluation_id: int, version: int, decision: Decision) -> Promotion:
    return Promotion(
        model_name="digits",
        alias="champion",
        version=version,
        previous_version=2,
        decision=decision,
        evaluation_id=evaluation_id,
        reason="it passed",
    )


def overridden(engine: Engine, *, is_applied: bool = True) -> int:
    """Version 3, which fails."""
    evaluation_id = save_evaluation(engine, an_evaluation(version=3, status=Status.FAIL))
    promotion = replace(
        decided(evaluation_id, 3, Decision.OVERRIDDEN), reason=REASON, decided_by="Ann <b>", valid_until=UNTIL
    )
    promotion_id = record_promotion(engine, promotion)
    if is_applied:
        made = Override(model_name="digits", version=3, alias="champion", by="Ann <b>", reason=REASON, until=UNTIL)
        model = ModelVersion(name="digits", version=3, run_id=None, digest="3")
        apply_override(engine, promotion_id, made, model, "run 1")
    return evaluation_id


def test_all_pages_say_so_as_long_as_it_stands(engine: Engine, client: TestClient) -> None:
    evaluation_id = overridden(engine)
    pages = ["/", "/model?name=digits", f"/evaluation/{evaluation_id}"]
    for page in pages:
        text = client.get(page).text
        assert (SEEN if page == pages[2] else f"<small>{SEEN}</small>") in text, page
        assert "<script>alert" not in text
    head = client.get(pages[2]).text
    assert "Against the verdict, alias champion moved from version 2 to version 3: overridden by Ann" in head
    assert 'class="banner fail"' in head  # the verdict is what it was

    passed = save_evaluation(engine, an_evaluation(version=4, status=Status.PASS))
    mark_promotion_applied(engine, record_promotion(engine, decided(passed, 4, Decision.PROMOTED)))
    for page in pages[:2]:
        assert f"<small>{SEEN}</small>" not in client.get(page).text, page
    assert SEEN in client.get(pages[2]).text  # what was decided on that evidence


def test_one_that_was_not_seen_through_is_not_said_to_have_moved_the_alias(engine: Engine, client: TestClient) -> None:
    evaluation_id = overridden(engine, is_applied=False)
    assert "alias champion is to move from version 2 to version 3: " in client.get(f"/evaluation/{evaluation_id}").text
    assert "overridden by" not in client.get("/").text


def test_the_api_has_who_why_and_until_when(engine: Engine, client: TestClient) -> None:
    overridden(engine)
    [item] = client.get("/api/v1/promotions?model=digits").json()["items"]
    assert (item["decision"], item["decided_by"], item["reason"]) == ("overridden", "Ann <b>", REASON)
    assert item["valid_until"] == "2999-12-24T12:30:00Z"
    [model] = client.get("/api/v1/models").json()["items"]
    assert model["override"]["by"] == "Ann <b>"


def test_the_chart_marks_it_apart_from_what_passed(engine: Engine, client: TestClient) -> None:
    overridden(engine)
    text = client.get("/model?name=digits").text
    assert "triangle-up-open" in text
    assert "version 3 overridden" in text
