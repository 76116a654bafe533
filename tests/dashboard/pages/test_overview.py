"""The first page: every model, what is in production, and what changed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import Severity
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.service import create_app
from case_monitor.settings import Settings
from case_monitor.store.read.overview import ModelOverview, read_overview
from case_monitor.store.write import mark_promotion_applied, record_promotion, save_evaluation, save_reproduction
from tests.support.alerting import night
from tests.support.factories import an_evaluation

HOSTILE = "a \"quoted\" 'name' <script>alert(1)</script>/100%&?#"
SPLIT = {"kind": "npz", "path": "x.npz"}


@pytest.fixture
def client(engine: Engine) -> Iterator[TestClient]:
    with TestClient(create_app(Settings(models={HOSTILE: {"split": SPLIT}}), engine)) as client:
        yield client


def one(engine: Engine) -> ModelOverview:
    [model] = read_overview(engine, "champion")
    return model


def decide(engine: Engine, evaluation: Evaluation, decision: Decision, alias: str = "champion") -> None:
    evaluation_id = save_evaluation(engine, evaluation)
    promotion = Promotion(
        model_name=evaluation.model.name,
        alias=alias,
        version=evaluation.model.version,
        previous_version=None,
        decision=decision,
        evaluation_id=evaluation_id,
        reason="",
    )
    mark_promotion_applied(engine, record_promotion(engine, promotion))


def test_nothing_yet(engine: Engine) -> None:
    with TestClient(create_app(Settings(), engine)) as client:
        text = client.get("/").text
    assert "No model is monitored yet" in text
    assert "case-monitor check" in text


def test_a_configured_model_without_an_evaluation_is_named_and_escaped(client: TestClient) -> None:
    text = client.get("/").text
    assert "<script>alert" not in text
    assert "Configured, not evaluated yet" in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;/100%&amp;?#" in text


def knowing(evaluation: Evaluation, share: float) -> Evaluation:
    """With maps that know their class on this share of the images; per class and of a method are other figures."""
    row = MetricSummary(metric="pair_contrast", method="", value=share, n=30)
    others = replace(row, class_idx=0, value=0.1), replace(row, method="case", value=0.2)
    return replace(evaluation, summaries=(*evaluation.summaries, *others, row))


def test_figures_are_those_of_the_newest_version(engine: Engine) -> None:
    second = knowing(an_evaluation(version=2, status=Status.PASS), 0.875)
    save_evaluation(engine, second)
    save_evaluation(engine, an_evaluation(version=1, seed=5))  # evaluated later, but older
    found = one(engine)
    accuracy = second.summary("accuracy")
    assert accuracy
    assert (found.newest, found.verdict, found.sentence) == (2, Status.PASS, second.verdict.sentence)
    assert (found.gate_method, found.accuracy) == ("case", accuracy.value)
    assert [quality.version for quality in found.quality] == [1, 2]
    assert [quality.pair_contrast for quality in found.quality] == [None, 0.875]
    assert found.open_alerts == {Severity.BLOCK: 1, Severity.WARN: 0}


def test_of_a_version_evaluated_twice_the_last_counts(engine: Engine) -> None:
    save_evaluation(engine, an_evaluation())
    again = an_evaluation(seed=3, status=Status.PASS)
    save_evaluation(engine, replace(again, provenance=replace(again.provenance, policy_digest="c" * 64)))
    found = one(engine)
    assert found.verdict is Status.PASS
    assert len(found.quality) == 1


def test_only_the_last_versions_are_drawn(engine: Engine) -> None:
    for version in range(1, 6):
        save_evaluation(engine, an_evaluation(version=version))
    [model] = read_overview(engine, "champion", versions=3)
    assert [quality.version for quality in model.quality] == [3, 4, 5]


def test_an_undefined_figure_is_none(engine: Engine) -> None:
    save_evaluation(engine, knowing(an_evaluation(), float("nan")))
    assert one(engine).quality[0].pair_contrast is None


def test_the_champion_is_what_was_last_seen_in_production(engine: Engine) -> None:
    save_evaluation(engine, an_evaluation(version=1))
    assert one(engine).champion is None
    decide(engine, an_evaluation(version=2, status=Status.PASS), Decision.PROMOTED)
    assert one(engine).champion == 2
    decide(engine, an_evaluation(version=3), Decision.WITHHELD)
    decide(engine, an_evaluation(version=4, status=Status.PASS), Decision.PROMOTED, alias="shadow")
    assert one(engine).champion == 2
    # Somebody moved the alias by hand: the next candidate is compared with another version.
    save_evaluation(engine, an_evaluation(version=5, baseline=replace(an_evaluation().model, version=1)))
    assert one(engine).champion == 1
    save_evaluation(engine, replace(an_evaluation(version=4), in_production=True))
    assert one(engine).champion == 4


def test_a_night_is_a_check(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    later = replace(night(1), started_at=night(1).started_at + timedelta(days=36500))
    same = Reproduction(n=9, changed_predictions=0, confidence_difference=0.0, score_difference=0.0, worst="")
    save_reproduction(engine, evaluation_id, same, an_evaluation(), later, "cpu", "2.13.0+cpu")
    assert one(engine).last_check == later.started_at


def test_filters_are_in_the_address(client: TestClient, engine: Engine) -> None:
    save_evaluation(engine, an_evaluation(name="digits", status=Status.PASS))
    save_evaluation(engine, an_evaluation(name="letters"))

    def shown(query: str) -> list[str]:
        text = client.get(f"/{query}").text
        return [name for name in ("digits", "letters") if f'name={name}">' in text]

    assert shown("") == ["digits", "letters"]
    assert shown("?verdict=pass") == ["digits"]
    assert shown("?q=LETT") == ["letters"]
    assert shown("?q=&verdict=") == ["digits", "letters"]
    assert shown("?q=zzz") == []
    assert client.get("/?verdict=perhaps").status_code == 422


def test_a_hostile_name_leads_to_its_page(client: TestClient, engine: Engine) -> None:
    save_evaluation(engine, an_evaluation(name=HOSTILE))
    text = client.get("/").text
    assert "<script>alert" not in text
    assert "/model?name=a+%22quoted%22+%27name%27+%3Cscript%3Ealert%281%29%3C%2Fscript%3E%2F100%25%26%3F%23" in text
