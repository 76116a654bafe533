"""Nights that look at a stored evaluation again: kept once per run, and one more observation of what is open."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import Engine

from case_monitor.alerts.standing import ARTIFACT, REPRODUCTION, artifact_alert, reproduction_alert
from case_monitor.domain.errors import StoreError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.reproduction import Reproduction
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.read.evaluations import first_digest
from case_monitor.store.write import save_evaluation, save_reproduction
from tests.support.alerting import FIRST_NIGHT, evaluation_with, found, night
from tests.support.factories import an_evaluation
from tests.support.rows import rows_of

FAILING = replace(evaluation_with(found()), looked_at=frozenset({ARTIFACT, REPRODUCTION}))
SAME = Reproduction(n=50, changed_predictions=0, confidence_difference=1e-7, score_difference=0.0, worst="x of y")
OTHER = replace(SAME, changed_predictions=3, score_difference=0.2)


def look_again(engine: Engine, evaluation_id: int, number: int, outcome: Reproduction = SAME) -> None:
    alert = reproduction_alert(FAILING.model, outcome)
    judged: Evaluation = replace(FAILING, alerts=(*FAILING.alerts, *([alert] if alert else [])))
    save_reproduction(engine, evaluation_id, outcome, judged, night(number), "cpu", "2.13.0+cpu")


def test_each_night_is_an_observation_once(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, FAILING, night(1))
    for number in (2, 2, 3):
        look_again(engine, evaluation_id, number)
    [alert] = load_alert_lives(engine)
    assert (alert.observations, alert.last_seen_at) == (3, FIRST_NIGHT + timedelta(days=2))
    assert [row["kind"] for row in rows_of(engine, "alert_notices")] == ["opened"]
    first, _ = rows_of(engine, "reproductions")
    del first["torch_version"], first["package_version"]
    assert first == {
        "run_id": "run 2",
        "evaluation_id": evaluation_id,
        "started_at": FIRST_NIGHT + timedelta(days=1),
        "n": 50,
        "changed_predictions": 0,
        "confidence_difference": 1e-7,
        "score_difference": 0.0,
        "worst": "x of y",
        "reproduced": True,
        "device": "cpu",
    }


def test_figures_that_differ_are_an_alert_until_they_come_out_again(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, FAILING, night(1))
    look_again(engine, evaluation_id, 2, OTHER)
    assert {(a.rule, a.observations) for a in load_alert_lives(engine)} == {("agreement_median", 2), (REPRODUCTION, 1)}
    look_again(engine, evaluation_id, 3, replace(OTHER, changed_predictions=50, score_difference=float("nan")))
    look_again(engine, evaluation_id, 4)
    assert {a.rule for a in load_alert_lives(engine)} == {"agreement_median"}
    assert [row["kind"] for row in rows_of(engine, "alert_notices")] == ["opened", "opened", "resolved"]
    assert [row["reproduced"] for row in rows_of(engine, "reproductions")] == [False, False, True]


def test_an_alert_without_numbers(engine: Engine) -> None:
    changed = artifact_alert(FAILING.model, "0" * 64)
    assert changed is not None
    save_evaluation(engine, replace(FAILING, alerts=(changed,)), night(1))
    [notice] = rows_of(engine, "alert_notices")
    assert "nan" not in notice["body"]
    assert "Observed" not in notice["body"]


def test_of_an_evaluation_that_is_not_stored(engine: Engine) -> None:
    with pytest.raises(StoreError):
        look_again(engine, 7, 1)
    assert rows_of(engine, "reproductions") == rows_of(engine, "alerts") == []


def test_the_first_digest_is_that_of_the_first_evaluation(engine: Engine) -> None:
    evaluation = an_evaluation()
    assert first_digest(engine, "digits", 1) is None
    save_evaluation(engine, evaluation)
    save_evaluation(engine, replace(evaluation, model=replace(evaluation.model, digest="e" * 64)))
    save_evaluation(engine, evaluation)
    assert first_digest(engine, "digits", 1) == evaluation.model.digest
    assert first_digest(engine, "digits", 2) is None
