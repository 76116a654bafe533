"""The views for Grafana and Metabase, on a real PostgreSQL, against the records that were saved."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, inspect, text

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.store.connection import connect
from case_monitor.store.migrate import downgrade, upgrade
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.read.evaluations import latest_evaluation
from case_monitor.store.write import acknowledge, mark_promotion_applied, mute, record_promotion, save_evaluation
from tests.support.alerting import evaluation_with, found, recall
from tests.support.factories import an_evaluation

VIEWS = ("evaluations", "methods", "classes", "alerts", "promotions")
DOCUMENTED = re.search(
    r"^## Views\n(.*?)^## ", (Path(__file__).parents[2] / "docs" / "database.md").read_text("utf-8"), re.M | re.S
)


@pytest.fixture
def store(postgres_url: str) -> Iterator[Engine]:
    upgrade(postgres_url)
    engine = connect(postgres_url)
    yield engine
    engine.dispose()


def rows(store: Engine, view: str, order: str) -> list[dict[str, Any]]:
    with store.connect() as connection:
        return [dict(row) for row in connection.execute(text(f"SELECT * FROM {view} ORDER BY {order}")).mappings()]


def promotion(evaluation: Evaluation, evaluation_id: int, decision: Decision) -> Promotion:
    return Promotion(
        model_name=evaluation.model.name,
        alias="champion",
        version=evaluation.model.version,
        previous_version=None,
        decision=decision,
        evaluation_id=evaluation_id,
        reason="because",
    )


def test_an_evaluation_is_one_row_with_its_figures_and_the_decision(store: Engine) -> None:
    baseline = ModelVersion(name="digits", version=1, run_id=None, digest="1" * 64)
    evaluation = an_evaluation(version=2, baseline=baseline, status=Status.PASS)
    contrast = [
        MetricSummary(metric=name, method=method, value=i / 8, n=9, ci_low=i / 9, ci_high=i / 7)
        for i, (name, method) in enumerate((("skill", ""), ("pair_contrast", ""), ("shown_contrast", "gradcam")), 1)
    ]
    evaluation = replace(
        evaluation,
        in_production=True,
        policy=Policy(gate_method="gradcam"),
        summaries=(*evaluation.summaries, *contrast),
    )
    evaluation_id = save_evaluation(store, evaluation)
    for decision in (Decision.WITHHELD, Decision.PROMOTED):
        last = record_promotion(store, promotion(evaluation, evaluation_id, decision))
    mark_promotion_applied(store, last)
    [row] = rows(store, "case_monitor_evaluations", "evaluation_id")
    saved = latest_evaluation(store, "digits", 2)
    assert saved is not None
    assert row["evaluation_id"] == evaluation_id
    assert (row["model"], row["version"], row["baseline_version"]) == ("digits", 2, 1)
    assert (row["evaluated_at"], row["verdict"]) == (saved.updated_at, "pass")
    assert row["verdict_sentence"] == evaluation.verdict.sentence
    assert (row["in_production"], row["gate_method"]) == (True, "gradcam")
    assert (row["split"], row["images"], row["duration_s"]) == ("val", 40, 1.5)
    accuracy, agreement = evaluation.summary("accuracy"), evaluation.summary("agreement_median", "gradcam")
    degenerate = evaluation.summary("agreement_degenerate_rate", "gradcam")
    named = (("accuracy", accuracy), ("agreement_median", agreement), ("degenerate_rate", degenerate))
    for name, summary in (*named, *((figure.metric, figure) for figure in contrast)):
        assert summary is not None
        figures = (summary.value, summary.ci_low, summary.ci_high)
        assert (row[name], row[f"{name}_ci_low"], row[f"{name}_ci_high"]) == figures
    assert agreement is not None
    assert row["explained_images"] == agreement.n
    assert row["balanced_accuracy"] is row["fidelity_dz"] is None  # this evaluation has no such figure
    assert (row["decision"], row["alias"]) == ("promoted", "champion")
    assert row["applied_at"] is not None


def test_an_evaluation_without_decision_is_a_row_as_well(store: Engine) -> None:
    save_evaluation(store, an_evaluation())
    [row] = rows(store, "case_monitor_evaluations", "evaluation_id")
    assert (row["decision"], row["decided_at"], row["verdict"]) == (None, None, "fail")


def test_methods_have_every_overall_figure_of_a_method_and_no_other(store: Engine) -> None:
    evaluation = an_evaluation()
    save_evaluation(store, evaluation)
    found = {(row["method"], row["metric"]): row for row in rows(store, "case_monitor_methods", "method")}
    expected = {(s.method, s.metric): s for s in evaluation.summaries if s.method and s.class_idx is None}
    assert found.keys() == expected.keys()
    assert ("random", "agreement_mean") in found
    for key, summary in expected.items():
        for name in ("value", "ci_low", "ci_high", "n", "n_undefined", "p_value", "p_adjusted", "effect_size"):
            wanted = getattr(summary, name)
            assert found[key][name] == (None if wanted != wanted else wanted), (key, name)
        assert found[key]["is_gate_method"] == (key[0] == "case")


def test_classes_have_their_quality_and_the_agreement_of_the_gate_method(store: Engine) -> None:
    evaluation = an_evaluation()
    save_evaluation(store, evaluation)
    found = rows(store, "case_monitor_classes", "class_idx")
    assert [row["class"] for row in found] == list(evaluation.class_names)
    for row, metrics in zip(found, evaluation.class_metrics, strict=True):
        assert (row["images"], row["precision"], row["f1"]) == (metrics.support, metrics.precision, metrics.f1)
        assert row["recall"] == (metrics.recall if metrics.class_idx else None)  # NaN is NULL
        assert (row["recall_ci_low"], row["recall_ci_high"]) == (metrics.recall_ci_low, metrics.recall_ci_high)
        assert (row["active_channels"], row["agreement_median"]) == (metrics.active_channels, 0.3)


def test_alerts_say_what_state_they_are_in(store: Engine) -> None:
    save_evaluation(store, evaluation_with(found(), recall(1), recall(2), recall(3)))
    overall, acknowledged, muted, ended = sorted(load_alert_lives(store), key=lambda alert: alert.id)
    acknowledge(store, acknowledged.id, "Ada")
    mute(store, muted.id, datetime.now(UTC) + timedelta(hours=1), "known", "Ada")
    mute(store, ended.id, datetime.now(UTC) - timedelta(hours=1), "known", "Ada")
    seen = rows(store, "case_monitor_alerts", "alert_id")
    assert [(r["is_open"], r["is_acknowledged"], r["is_muted"]) for r in seen] == [
        (True, False, False),
        (True, True, False),
        (True, False, True),
        (True, False, False),
    ]
    assert seen[0]["message"] == overall.message
    assert [(r["muted_by"], r["muted_at"] is None) for r in seen] == [(None, True)] * 2 + [("Ada", False)] * 2
    assert (seen[0]["model"], seen[0]["rule"], seen[0]["observed"]) == ("digits", "agreement_median", 0.9)
    assert seen[2]["class"] == "<script>alert(1)</script>"
    save_evaluation(store, evaluation_with(found(status=Status.PASS), recall(1), recall(2), recall(3)))
    assert [row["is_open"] for row in rows(store, "case_monitor_alerts", "alert_id")] == [False, True, True, True]


def test_promotions_are_the_audit_log_with_the_verdict(store: Engine) -> None:
    evaluation = an_evaluation()
    evaluation_id = save_evaluation(store, evaluation)
    record_promotion(store, promotion(evaluation, evaluation_id, Decision.WITHHELD))
    [row] = rows(store, "case_monitor_promotions", "promotion_id")
    assert (row["model"], row["version"], row["alias"], row["decision"]) == ("digits", 1, "champion", "withheld")
    assert (row["evaluation_id"], row["verdict"], row["reason"]) == (evaluation_id, "fail", "because")
    assert row["applied_at"] is None


@pytest.mark.parametrize("view", VIEWS)
def test_columns_are_those_that_are_promised(store: Engine, view: str) -> None:
    assert DOCUMENTED is not None
    [promised] = re.findall(rf"^\| `case_monitor_{view}` \| (.*?) \|", DOCUMENTED[1], re.M)
    columns = [column["name"] for column in inspect(store).get_columns(f"case_monitor_{view}")]
    assert re.findall(r"`(\w+)`", promised) == columns


def test_downgrade_drops_them(store: Engine, postgres_url: str) -> None:
    assert set(inspect(store).get_view_names()) == {f"case_monitor_{view}" for view in VIEWS}
    downgrade(postgres_url, "0006")
    assert inspect(store).get_view_names() == []
    upgrade(postgres_url)
    assert len(rows(store, "case_monitor_alerts", "alert_id")) == 0


def test_who_was_granted_a_view_keeps_it(store: Engine, postgres_url: str) -> None:
    downgrade(postgres_url, "0008")
    with store.begin() as connection:
        connection.exec_driver_sql("GRANT SELECT ON case_monitor_alerts TO PUBLIC")
    upgrade(postgres_url)
    with store.connect() as connection:
        asked = "SELECT has_table_privilege('public', 'case_monitor_alerts', 'SELECT')"
        assert connection.exec_driver_sql(asked).scalar_one() is True


def test_sqlite_has_none(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'results.db'}"
    upgrade(url)
    engine = connect(url)
    assert inspect(engine).get_view_names() == []
    engine.dispose()
