import dataclasses
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, text, update
from sqlalchemy.exc import StatementError
from sqlalchemy.pool import QueuePool

from case_monitor.domain.contrast_sets import ContrastSets, ContrastSource
from case_monitor.domain.errors import StoreError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Rule, Severity
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.store.connection import writing
from case_monitor.store.read import evaluations
from case_monitor.store.read.alerts import load_alerts
from case_monitor.store.read.contrast_sets import load_contrast_sets
from case_monitor.store.read.evaluations import find_evaluation, latest_evaluation
from case_monitor.store.read.promotions import promotions
from case_monitor.store.read.summaries import load_summaries
from case_monitor.store.read.verdicts import load_verdict
from case_monitor.store.tables import EvaluationRow
from case_monitor.store.write import record_promotion, save_evaluation, set_mlflow_run
from tests.support.factories import an_evaluation

NAN = math.nan
LOADERS: list[Any] = [load_verdict, load_alerts, load_summaries, load_contrast_sets]


def comparable(value: Any) -> Any:
    """A record as plain values in which NaN equals NaN, with the types that matter kept visible."""
    if dataclasses.is_dataclass(value):
        return {f.name: comparable(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, tuple | list):
        return [comparable(item) for item in value]
    return "NaN" if isinstance(value, float) and math.isnan(value) else (type(value), value)


def rich_evaluation() -> Evaluation:
    """Results and alerts with every kind of value: NaN, None, per class, both severities, all statuses."""
    evaluation = an_evaluation()
    [result], [alert] = evaluation.verdict.results, evaluation.alerts
    per_class = Rule(metric="recall", limit=0.1, greater_is_better=True, per_class=True, severity=Severity.WARN)
    undefined = replace(result, status=Status.INSUFFICIENT, observed=NAN, ci_low=NAN, ci_high=NAN, n=0, reason="")
    results = (
        result,
        replace(result, threshold=per_class, method=None, class_idx=2, status=Status.PASS),
        undefined,
        replace(undefined, threshold=replace(per_class, limit=NAN), class_idx=0),
    )
    alerts = (
        alert,
        replace(alert, method=None, class_idx=3, severity=Severity.WARN, observed=NAN, limit=NAN),
        replace(alert, message="one\ntwo 'three'", status=Status.INSUFFICIENT),
    )
    return replace(evaluation, verdict=replace(evaluation.verdict, results=results), alerts=alerts)


def test_verdict_comes_back_as_it_was(engine: Engine) -> None:
    evaluation = rich_evaluation()
    verdict = load_verdict(engine, save_evaluation(engine, evaluation))
    assert comparable(verdict) == comparable(evaluation.verdict)
    assert verdict.results[:2] == evaluation.verdict.results[:2]  # no NaN there: equal as records, too


@pytest.mark.parametrize("status", Status)
def test_verdict_without_nan_is_equal(engine: Engine, status: Status) -> None:
    evaluation = an_evaluation(status=status)
    assert load_verdict(engine, save_evaluation(engine, evaluation)) == evaluation.verdict


def test_alerts_come_back_as_they_were(engine: Engine) -> None:
    evaluation = rich_evaluation()
    alerts = load_alerts(engine, save_evaluation(engine, evaluation))
    assert comparable(alerts) == comparable(evaluation.alerts)


def test_summaries_come_back_as_they_were(engine: Engine) -> None:
    evaluation = an_evaluation()
    summaries = load_summaries(engine, save_evaluation(engine, evaluation))
    assert comparable(summaries) == comparable(evaluation.summaries)
    assert any(math.isnan(s.value) for s in summaries)
    assert {s.class_idx for s in summaries} == {None, 0, 1, 2, 3}


def test_contrast_sets_come_back_as_they_were(engine: Engine) -> None:
    evaluation = an_evaluation()
    of_class = evaluation.contrast_sets.members
    unseen = replace(of_class[2][1], weight=NAN)
    sets = ContrastSets(contrast_k=5, members=(of_class[0], (), (of_class[2][0], unseen), of_class[3]), unseen=(1,))
    loaded = load_contrast_sets(engine, save_evaluation(engine, replace(evaluation, contrast_sets=sets)))
    assert comparable(loaded) == comparable(sets)
    assert loaded.members[0][0].source is ContrastSource.OBSERVED
    assert (loaded.unseen, loaded.contrast_k) == ((1,), 5)


def test_parts_of_an_unknown_evaluation(engine: Engine) -> None:
    for load in LOADERS:
        with pytest.raises(StoreError, match="evaluation 7 is not stored"):
            load(engine, 7)


def test_find_evaluation(engine: Engine) -> None:
    baseline = ModelVersion(name="digits", version=7, run_id=None, digest="7" * 64)
    without, with_baseline = an_evaluation(), an_evaluation(baseline=baseline)
    assert find_evaluation(engine, without.key) is None
    ids = [save_evaluation(engine, without), save_evaluation(engine, with_baseline)]
    set_mlflow_run(engine, ids[1], "evidence")

    for evaluation, evaluation_id in zip((without, with_baseline), ids, strict=True):
        stored = find_evaluation(engine, evaluation.key)
        assert stored is not None
        assert (stored.id, stored.key) == (evaluation_id, evaluation.key)
        for i in range(len(evaluation.key)):
            other = tuple(99 if i == j == 1 else f"{v}x" if i == j else v for j, v in enumerate(evaluation.key))
            assert find_evaluation(engine, other) is None  # type: ignore[arg-type]


def test_every_field_of_a_stored_evaluation(engine: Engine) -> None:
    evaluation = an_evaluation(baseline=ModelVersion(name="digits", version=7, run_id=None, digest="7" * 64))
    save_evaluation(engine, evaluation)
    stored = find_evaluation(engine, evaluation.key)
    assert stored is not None
    fields = dataclasses.asdict(stored)
    protocol, policy = fields.pop("protocol"), fields.pop("policy")
    assert protocol["methods"] == list(evaluation.provenance.protocol.methods)
    assert set(protocol) == {f.name for f in dataclasses.fields(evaluation.provenance.protocol)}
    assert [t["metric"] for t in policy["thresholds"]] == [t.metric for t in evaluation.policy.thresholds]
    for time in (fields.pop("created_at"), fields.pop("updated_at")):
        assert abs(datetime.now(UTC) - time) < timedelta(minutes=1)
    assert fields == {
        "id": 1,
        "model_name": "digits",
        "version": 1,
        "run_id": "r1",
        "model_digest": f"{1:064x}",
        "in_production": False,
        "split_digest": "5" * 64,
        "protocol_digest": "a" * 64,
        "policy_digest": "b" * 64,
        "baseline_digest": "7" * 64,
        "baseline_version": 7,
        "split_name": "val",
        "split_size": 40,
        "images_digest": None,
        "labels_digest": None,
        "class_names": evaluation.split.class_names,
        "seed": 0,
        "target_layer": "features",
        "layer_source": "auto",
        "device": "cpu",
        "torch_version": "2.15.0",
        "package_version": "0.1.0",
        "isolation": None,
        "signer": None,
        "verdict_status": Status.FAIL,
        "verdict_sentence": "Version 1 is withheld: maps do not differ.",
        "notes": (),
        "mlflow_run_id": None,
        "mlflow_experiment_id": None,
        "flow_run_id": None,
        "duration_s": 1.5,
    }
    assert isinstance(stored.verdict_status, Status)
    with pytest.raises(dataclasses.FrozenInstanceError):
        stored.id = 2  # type: ignore[misc]


def test_latest_and_all_evaluations(engine: Engine) -> None:
    first = an_evaluation()
    second = replace(first, provenance=replace(first.provenance, policy_digest="c" * 64))
    other_version, other_model = an_evaluation(version=2), an_evaluation(name="letters")
    assert latest_evaluation(engine, "digits", 1) is None
    assert evaluations(engine, "digits") == []
    ids = [save_evaluation(engine, e) for e in (first, second, other_version, other_model)]

    def latest(name: str, version: int) -> int | None:
        stored = latest_evaluation(engine, name, version)
        return stored.id if stored else None

    assert [latest("digits", 1), latest("digits", 2), latest("letters", 1)] == ids[1:]
    assert [latest("digits", 3), latest("Digits", 1)] == [None, None]
    assert [e.id for e in evaluations(engine, "digits")] == [ids[2], ids[1], ids[0]]

    save_evaluation(engine, first)  # run again: now it is the latest word
    assert latest("digits", 1) == ids[0]
    assert [e.id for e in evaluations(engine, "digits")] == [ids[0], ids[2], ids[1]]


def test_promotions_of_a_model_newest_first(engine: Engine) -> None:
    entries = [
        Promotion(
            model_name=name,
            alias="champion",
            version=version,
            previous_version=previous,
            decision=decision,
            evaluation_id=save_evaluation(engine, an_evaluation(name=name, version=version)),
            reason="because",
        )
        for name, version, previous, decision in [
            ("digits", 1, None, Decision.PROMOTED),
            ("letters", 1, None, Decision.PROMOTED),
            ("digits", 2, 1, Decision.WITHHELD),
        ]
    ]
    assert promotions(engine, "digits") == []
    ids = [record_promotion(engine, entry) for entry in entries]
    log = promotions(engine, "digits")
    assert [entry.id for entry in log] == [ids[2], ids[0]]
    assert log[0].decision is Decision.WITHHELD
    for stored, entry in zip(log, (entries[2], entries[0]), strict=True):
        assert {f.name: getattr(stored, f.name) for f in dataclasses.fields(entry)} == dataclasses.asdict(entry)
    assert promotions(engine, "nobody") == []


def test_names_that_no_model_has_are_only_not_found(engine: Engine) -> None:
    save_evaluation(engine, an_evaluation())
    for name in ("a\0b", "caf\udce9", "' OR '1'='1", "%", "x" * 100_000, ""):
        assert evaluations(engine, name) == []
        assert promotions(engine, name) == []
        assert latest_evaluation(engine, name, 1) is None


def test_times_are_utc_whatever_the_zone(engine: Engine, database_url: str) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    moment = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=timezone(timedelta(hours=-7)))
    with writing(engine) as connection:
        if database_url.startswith("postgresql"):
            connection.execute(text("SET LOCAL TIME ZONE 'Asia/Kathmandu'"))
        connection.execute(update(EvaluationRow).where(EvaluationRow.id == evaluation_id).values(created_at=moment))
    [stored] = evaluations(engine, "digits")
    assert stored.created_at == moment
    assert stored.created_at.isoformat() == "2026-03-29T08:30:00.123456+00:00"


def test_a_time_without_zone_is_refused(engine: Engine) -> None:
    statement = update(EvaluationRow).values(created_at=datetime(2026, 1, 1))
    with pytest.raises(StoreError, match="time zone") as caught, writing(engine) as connection:
        connection.execute(statement)
    assert isinstance(caught.value.__cause__, StatementError)
    assert "UPDATE" not in str(caught.value)


def test_reading_gives_its_connection_back(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    assert isinstance(engine.pool, QueuePool)
    for load in LOADERS:
        load(engine, evaluation_id)
        assert engine.pool.checkedout() == 0
