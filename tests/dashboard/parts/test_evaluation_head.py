"""What stands on top of every page about one evaluation."""

from dataclasses import replace

import pytest
from fastapi import HTTPException
from fastapi.testclient import TestClient
from markupsafe import escape
from sqlalchemy import Engine

from case_monitor.dashboard.parts.evaluation_head import read_head
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.write import record_promotion, save_evaluation, set_mlflow_run
from tests.support.alerting import night
from tests.support.factories import an_evaluation

HOSTILE = 'a "quoted" <script>alert(1)</script>/slash'
BASELINE = ModelVersion(name=HOSTILE, version=3, run_id=None, digest="3" * 64)


@pytest.fixture
def client(engine: Engine) -> TestClient:
    return TestClient(create_app(Settings(), engine))


def on_split(evaluation: Evaluation, name: str) -> Evaluation:
    return replace(evaluation, split=replace(evaluation.split, name=name, digest=f"digest of {name}"))


def decided(evaluation_id: int, decision: Decision, previous: int | None = None) -> Promotion:
    return Promotion(
        model_name="digits",
        alias="champion",
        version=1,
        previous_version=previous,
        decision=decision,
        evaluation_id=evaluation_id,
        reason="because",
    )


def test_the_head_says_what_is_stored(engine: Engine) -> None:
    evaluation = an_evaluation(name=HOSTILE, version=4, baseline=BASELINE, status=Status.INSUFFICIENT)
    head = read_head(engine, Settings(), save_evaluation(engine, evaluation))
    assert (head.model, head.version, head.verdict) == (HOSTILE, 4, Status.INSUFFICIENT)
    assert head.sentence == evaluation.verdict.sentence
    assert (head.split, head.split_size, head.num_classes, head.baseline) == ("val", 40, 4, 3)
    assert head.decision is None
    assert (head.older, head.newer) == (None, None)
    assert [tab.path.removeprefix(f"/evaluation/{head.id}") for tab in head.tabs] == [
        "",
        "/classes",
        "/confusion",
        "/gallery",
    ]


def test_names_are_escaped_and_links_are_encoded(engine: Engine, client: TestClient) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation(name=HOSTILE, version=4, baseline=BASELINE))
    text = client.get(f"/evaluation/{evaluation_id}").text
    assert "<script>alert" not in text
    assert "/model?name=a+%22quoted%22+%3Cscript%3Ealert%281%29%3C%2Fscript%3E%2Fslash" in text
    assert "candidate=4&amp;baseline=3" in text


@pytest.mark.parametrize(
    ("decision", "previous", "sentence"),
    [
        (Decision.PROMOTED, 7, "To be promoted: alias champion was with version 7 and has not been moved so far."),
        (Decision.KEPT, 1, "Kept: version 1 holds alias champion already."),
        (Decision.WITHHELD, None, "Withheld: alias champion stays with no version."),
    ],
)
def test_the_decision_in_words(engine: Engine, decision: Decision, previous: int | None, sentence: str) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    record_promotion(engine, decided(evaluation_id, decision, previous))
    found = read_head(engine, Settings(), evaluation_id).decision
    assert found is not None
    assert (found.decision, found.sentence, found.reason) == (decision, sentence, "because")


def test_why_a_version_that_passes_was_withheld(engine: Engine, client: TestClient) -> None:
    evaluation = an_evaluation(status=Status.PASS)
    evaluation_id = save_evaluation(engine, evaluation)
    reason = f"{evaluation.verdict.sentence} But version 9 <b>is newer</b>."
    record_promotion(engine, replace(decided(evaluation_id, Decision.WITHHELD, 9), reason=reason))
    text = client.get(f"/evaluation/{evaluation_id}").text
    assert "Withheld: alias champion stays with version 9.  But version 9 &lt;b&gt;is newer&lt;/b&gt;. <small>" in text
    assert text.count(str(escape(evaluation.verdict.sentence))) == 1


def test_neighbours_are_those_of_the_same_version(engine: Engine) -> None:
    ids = [save_evaluation(engine, on_split(an_evaluation(), name)) for name in ("a", "b", "c")]
    save_evaluation(engine, an_evaluation(version=2))
    save_evaluation(engine, an_evaluation(name="others"))
    first, middle, last = (read_head(engine, Settings(), i) for i in ids)
    assert first.older is None
    assert last.newer is None
    assert middle.older is not None
    assert middle.newer is not None
    assert (middle.older.id, middle.older.split_name, middle.newer.id) == (ids[0], "a", ids[2])


@pytest.mark.parametrize(
    ("settings", "link"),
    [
        (Settings(), None),
        (Settings(tracking_uri="https://me:hunter2@flow.example/base/"), "https://flow.example/base/#/runs/r%2F1"),
        (Settings(mlflow_url="http://seen.example/"), "http://seen.example/#/runs/r%2F1"),
    ],
)
def test_the_link_to_mlflow(engine: Engine, settings: Settings, link: str | None) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    assert read_head(engine, settings, evaluation_id).mlflow_run is None
    set_mlflow_run(engine, evaluation_id, "r/1")
    assert read_head(engine, settings, evaluation_id).mlflow_run == link


def test_the_link_to_mlflow_with_an_experiment(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    set_mlflow_run(engine, evaluation_id, "r1", "12")
    head = read_head(engine, Settings(mlflow_url="http://seen.example"), evaluation_id)
    assert head.mlflow_run == "http://seen.example/#/experiments/12/runs/r1"


def test_the_link_to_prefect(engine: Engine) -> None:
    flow_run = replace(night(1), flow_run_id="f/1")
    evaluation_id = save_evaluation(engine, an_evaluation(), flow_run)
    other = save_evaluation(engine, an_evaluation(version=2))
    settings = Settings(prefect_url="https://seen.example/prefect/")
    assert read_head(engine, Settings(), evaluation_id).prefect_run is None
    assert read_head(engine, settings, other).prefect_run is None
    assert read_head(engine, settings, evaluation_id).prefect_run == "https://seen.example/prefect/runs/flow-run/f%2F1"


def test_an_unknown_evaluation_is_not_found(engine: Engine, client: TestClient) -> None:
    with pytest.raises(HTTPException, match="404"):
        read_head(engine, Settings(), 7)
    assert client.get("/evaluation/7").status_code == 404


@pytest.mark.parametrize("wrong", ["0", "-1", "x", str(2**31), "9" * 40])
def test_an_impossible_id_is_refused(client: TestClient, wrong: str) -> None:
    assert client.get(f"/evaluation/{wrong}").status_code == 422
