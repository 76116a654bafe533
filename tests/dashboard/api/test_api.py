"""The JSON API gives the stored records, in pages and as files."""

import csv
import io
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.write import mark_promotion_applied, record_promotion, save_evaluation
from tests.support.factories import an_evaluation


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(), engine)) as client:
        yield client


@pytest.fixture
def stored(engine: Engine) -> tuple[int, Evaluation]:
    evaluation = an_evaluation()
    return save_evaluation(engine, evaluation), evaluation


def everything(client: TestClient, path: str, per_page: int = 100, **query: Any) -> list[dict[str, Any]]:
    """All items, page by page."""
    items: list[dict[str, Any]] = []
    while True:
        page = 1 + len(items) // per_page
        answer = client.get(f"/api/v1/{path}", params={"page": page, "per_page": per_page, **query}).json()
        assert (answer["page"], answer["per_page"]) == (page, per_page)
        items += answer["items"]
        if len(items) >= answer["total"] or not answer["items"]:
            assert len(items) == answer["total"]
            return items


def none(value: float) -> float | None:
    return None if value != value else value


def test_models_and_evaluations(client: TestClient, engine: Engine, stored: tuple[int, Evaluation]) -> None:
    other = save_evaluation(engine, an_evaluation(name="a/b c", version=7, status=Status.PASS))
    assert [m["name"] for m in everything(client, "models", per_page=1)] == ["a/b c", "digits"]
    assert [m["newest"] for m in everything(client, "models", verdict="pass")] == [7]
    assert [e["id"] for e in everything(client, "evaluations")] == [other, stored[0]]
    [found] = everything(client, "evaluations", model="a/b c", version=7)
    assert (found["model_name"], found["version"], found["verdict_status"]) == ("a/b c", 7, "pass")
    assert client.get(f"/api/v1/evaluations/{other}").json() == found
    assert everything(client, "evaluations", model="a/b c", version=8) == []


def test_promotions(client: TestClient, engine: Engine, stored: tuple[int, Evaluation]) -> None:
    promotion = Promotion(
        model_name="digits",
        alias="champion",
        version=1,
        previous_version=None,
        decision=Decision.WITHHELD,
        evaluation_id=stored[0],
        reason="maps do not differ",
    )
    mark_promotion_applied(engine, record_promotion(engine, promotion))
    [found] = everything(client, "promotions", model="digits")
    assert (found["decision"], found["reason"], found["evaluation_id"]) == ("withheld", "maps do not differ", stored[0])
    assert found["applied_at"] is not None
    assert everything(client, "promotions", model="letters") == []


def test_parts_are_what_was_saved(client: TestClient, stored: tuple[int, Evaluation]) -> None:
    evaluation_id, evaluation = stored
    here = f"evaluations/{evaluation_id}"
    figures = [(s.metric, s.method, s.class_idx, none(s.value), s.n) for s in evaluation.summaries]
    summaries = everything(client, f"{here}/summaries", per_page=7)
    assert [(s["metric"], s["method"], s["class_idx"], s["value"], s["n"]) for s in summaries] == figures
    classes = everything(client, f"{here}/classes")
    assert [(c["class_name"], c["recall"]) for c in classes] == [
        (name, none(m.recall)) for name, m in zip(evaluation.class_names, evaluation.class_metrics, strict=True)
    ]
    cells = {(c["target_class"], c["predicted_class"]): c["count"] for c in everything(client, f"{here}/confusion")}
    counts = evaluation.confmat.counts
    assert cells == {(t, p): counts[t, p] for t in range(4) for p in range(4) if counts[t, p]}
    members = [(m.target_class, m.class_idx, m.source.value) for v in evaluation.contrast_sets.members for m in v]
    contrast = everything(client, f"{here}/contrast-sets", per_page=3)
    assert [(c["target_class"], c["class_idx"], c["source"]) for c in contrast] == members
    [rule] = everything(client, f"{here}/rules")
    assert (rule["metric"], rule["observed"], rule["limit_value"]) == ("agreement_median", 0.9, 0.5)


def test_scores_can_be_chosen(client: TestClient, stored: tuple[int, Evaluation]) -> None:
    evaluation_id, evaluation = stored
    scores = everything(client, f"evaluations/{evaluation_id}/scores", metric="agreement", method="gradcam++")
    found = {s["sample_id"]: s["value"] for s in scores}
    values = evaluation.scores.values["gradcam++", "agreement"].tolist()
    assert found == {i: none(v) for i, v in zip(evaluation.scores.sample_ids, values, strict=True)}
    assert None in found.values()
    summaries = everything(client, f"evaluations/{evaluation_id}/summaries", metric="accuracy")
    assert [s["value"] for s in summaries] == [0.9]


@pytest.mark.parametrize("part", ["rules", "summaries", "classes", "confusion", "contrast-sets", "scores"])
def test_files_have_the_columns_and_rows_of_the_json(
    client: TestClient, stored: tuple[int, Evaluation], part: str
) -> None:
    address = f"evaluations/{stored[0]}/{part}"
    items = everything(client, address, per_page=1000)
    answer = client.get(f"/api/v1/{address}.csv")
    assert f'filename="evaluation-{stored[0]}-{part}.csv"' in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [list(row) for row in rows[:1]] == [list(item) for item in items[:1]]
    as_text = [{k: "" if v is None else str(v) for k, v in item.items()} for item in items]
    assert rows == as_text
    table = pq.read_table(io.BytesIO(client.get(f"/api/v1/{address}.parquet").content))
    assert table.to_pylist() == items


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("=1+1", "'=1+1"),
        ("a;=1+1;b", "a;'=1+1;b"),
        ("a\n@x", "a\n'@x"),
        ("\N{FULLWIDTH EQUALS SIGN}1", "'\N{FULLWIDTH EQUALS SIGN}1"),
        ("a, -5; b = c", "a, -5; b = c"),
    ],
)
def test_a_formula_in_a_class_name_stays_text(client: TestClient, engine: Engine, name: str, written: str) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation(class_names=(name, "dog")))
    answer = client.get(f"/api/v1/evaluations/{evaluation_id}/classes.csv")
    assert next(csv.DictReader(io.StringIO(answer.text, newline="")))["class_name"] == written


def test_an_infinite_limit_is_no_number(client: TestClient, engine: Engine) -> None:
    evaluation = an_evaluation()
    [result] = evaluation.verdict.results
    results = (replace(result, threshold=replace(result.threshold, limit=float("inf"))),)
    evaluation_id = save_evaluation(engine, replace(evaluation, verdict=replace(evaluation.verdict, results=results)))
    [rule] = everything(client, f"evaluations/{evaluation_id}/rules")
    assert rule["limit_value"] is None


@pytest.mark.parametrize("path", ["", "/rules", "/summaries", "/scores", "/classes.csv", "/scores.parquet"])
def test_what_is_not_stored(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/evaluations/999{path}")
    assert answer.status_code == 404
    assert answer.json() == {"detail": "evaluation 999 is not stored"}


@pytest.mark.parametrize(
    "path",
    ["evaluations/0", "evaluations/9999999999", "evaluations/x", "evaluations/1/scores.xls", "models?per_page=1001"],
)
def test_what_cannot_be_asked(client: TestClient, path: str) -> None:
    assert client.get(f"/api/v1/{path}").status_code == 422


def test_the_records_of_pages(client: TestClient, engine: Engine) -> None:
    first, second = an_evaluation(version=1, status=Status.PASS), an_evaluation(version=2)
    save_evaluation(engine, first)
    save_evaluation(engine, replace(second, baseline=first.model))
    quality = client.get("/api/v1/quality", params={"model": "digits"}).json()
    assert [point["version"] for point in quality["points"]] == [1, 2]
    accuracy = next(s for s in quality["series"] if s["metric"] == "accuracy")
    assert accuracy["value"] == [0.9, 0.9]
    query = {"model": "digits", "candidate": 2, "baseline": 1}
    compared = client.get("/api/v1/comparison", params=query).json()
    assert (compared["candidate"]["version"], compared["baseline"]["version"]) == (2, 1)
    study = client.get("/api/v1/seeds", params={"model": "digits", "versions": "1-2"}).json()
    assert [seed["version"] for seed in study["seeds"]] == [1, 2]
    means = {m["method"]: m["values"] for m in study["methods"]}
    assert means["case"] == [
        next(s.value for s in e.summaries if (s.metric, s.method) == ("agreement_mean", "case"))
        for e in (first, second)
    ]


@pytest.mark.parametrize("path", ["quality", "comparison", "seeds"])
def test_the_records_of_an_unknown_model(client: TestClient, path: str) -> None:
    answer = client.get(f"/api/v1/{path}", params={"model": "a/b"})
    assert answer.status_code == 404
    assert "a/b" in answer.json()["detail"]


def test_alerts(client: TestClient, engine: Engine, stored: tuple[int, Evaluation]) -> None:
    [found] = everything(client, "alerts", model="digits")
    [alert] = stored[1].alerts
    assert (found["alert"]["rule"], found["alert"]["observed"]) == (alert.rule, alert.observed)
    assert found["evaluation_id"] == stored[0]
    assert everything(client, "alerts", state="resolved") == []
    assert everything(client, "alerts", severity="warn") == []
