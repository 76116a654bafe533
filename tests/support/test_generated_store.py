"""The generated store agrees with itself, as one that was filled by evaluations does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, text
from sqlalchemy.engine import URL

from case_monitor.alerts.life import Scope
from case_monitor.domain.confusion_matrix import ConfusionMatrix
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.status import Status
from case_monitor.judging.confusion import class_metrics
from case_monitor.store import read
from case_monitor.store.connection import connect
from case_monitor.store.migrate import upgrade
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.read.gallery import gallery_entries, gallery_map
from case_monitor.store.read.predictions import load_predictions
from case_monitor.store.read.promotions import promotions
from case_monitor.store.read.scores import load_scores
from case_monitor.store.write import record_promotion, save_evaluation
from tests.support.alerting import evaluation_with, found
from tests.support.databases import autocommit
from tests.support.generated_store import HOSTILE_NAME, LARGE_NAME, LONG_CLASS, SCRIPT_CLASS, fill
from tests.support.rows import counts, rows_of

MODELS, VERSIONS, LARGE = 4, 13, 30
UNTIL = datetime(2026, 11, 1, tzinfo=UTC)
CONSTRAINTS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"""
INDEXES = "SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1, 2"


@pytest.fixture(scope="module")
def filled(postgres_server: URL) -> Iterator[Engine]:
    """One small store for all tests that only read."""
    with autocommit(postgres_server) as connection:
        connection.exec_driver_sql("CREATE DATABASE generated_store ENCODING 'UTF8' TEMPLATE template0")
    url = postgres_server.set(database="generated_store").render_as_string(hide_password=False)
    upgrade(url)
    engine = connect(url)
    before = schema(engine)
    fill(engine, models=MODELS, versions=VERSIONS, classes_large=LARGE, until=UNTIL)
    assert schema(engine) == before  # nothing that was taken away for speed is missing
    yield engine
    engine.dispose()
    with autocommit(postgres_server) as connection:
        connection.exec_driver_sql("DROP DATABASE generated_store WITH (FORCE)")


def schema(engine: Engine) -> list[tuple[str, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for query in (CONSTRAINTS, INDEXES) for row in connection.execute(text(query))]


def names(engine: Engine) -> set[str]:
    return {row["name"] for row in rows_of(engine, "model_versions")}


def all_evaluations(engine: Engine) -> list[read.StoredEvaluation]:
    return [evaluation for name in names(engine) for evaluation in read.evaluations(engine, name)]


def grouped(rows: list[dict[str, object]]) -> dict[int, list[dict[str, object]]]:
    found: dict[int, list[dict[str, object]]] = {}
    for row in rows:
        found.setdefault(row["evaluation_id"], []).append(row)  # type: ignore[arg-type]
    return found


def figure(engine: Engine, evaluation_id: int, metric: str) -> float:
    return next(s.value for s in read.load_summaries(engine, evaluation_id) if (s.metric, s.method) == (metric, ""))


def test_there_are_as_many_as_asked_for_with_names_that_hurt(filled: Engine) -> None:
    models = rows_of(filled, "model_versions")
    assert len(models) == MODELS * VERSIONS + 2
    assert len(HOSTILE_NAME) == 200
    assert {HOSTILE_NAME, LARGE_NAME} < names(filled)
    assert len(names(filled)) == MODELS + 1
    classes = {name for evaluation in all_evaluations(filled) for name in evaluation.class_names}
    assert {SCRIPT_CLASS, LONG_CLASS} < classes
    assert len(LONG_CLASS) == 120
    assert not [row for row in models if "template" in row["name"]]


def test_cells_supports_accuracy_and_class_metrics_agree(filled: Engine) -> None:
    cells, classes = grouped(rows_of(filled, "confusion_cells")), grouped(rows_of(filled, "class_metrics"))
    for evaluation in all_evaluations(filled):
        size = len(evaluation.class_names)
        matrix = np.zeros((size, size), dtype=np.int64)
        for cell in cells[evaluation.id]:
            matrix[cell["target_class"], cell["predicted_class"]] = cell["count"]
        assert matrix.sum() == evaluation.split_size
        rows = classes[evaluation.id]
        assert [row["class_name"] for row in rows] == list(evaluation.class_names)
        expected = class_metrics(ConfusionMatrix(counts=matrix, soft=matrix * 0.0), np.zeros(size), 0.95)
        for row, metrics in zip(rows, expected, strict=True):
            assert row["support"] == metrics.support
            for name in ("precision", "recall", "f1", "recall_ci_low", "recall_ci_high"):
                assert row[name] == pytest.approx(getattr(metrics, name), nan_ok=True)
        figures = {(s.metric, s.class_idx): s for s in read.load_summaries(filled, evaluation.id) if not s.method}
        assert figures["accuracy", None].value == np.diag(matrix).sum() / matrix.sum()
        assert figures["recall", size - 1].value == expected[-1].recall


def test_every_evaluation_can_be_read_and_its_figures_are_in_range(filled: Engine) -> None:
    for evaluation in all_evaluations(filled):
        assert read.find_evaluation(filled, evaluation.key) == evaluation
        assert read.load_verdict(filled, evaluation.id).status is evaluation.verdict_status
        assert len(read.load_contrast_sets(filled, evaluation.id).members) == len(evaluation.class_names)
        read.load_alerts(filled, evaluation.id)
        for row in read.load_summaries(filled, evaluation.id):
            if np.isfinite(row.ci_low):
                assert row.ci_low <= row.value + 1e-9 <= row.ci_high + 2e-9
            if row.metric.startswith("agreement_") and "baseline" not in row.metric and np.isfinite(row.value):
                assert 0 <= row.value <= 1


def test_the_verdict_is_about_the_stored_figures(filled: Engine) -> None:
    told = 0
    for evaluation in all_evaluations(filled):
        summaries = read.load_summaries(filled, evaluation.id)
        figures = {(s.metric, s.method, s.class_idx): s for s in summaries}
        assert evaluation.verdict_sentence.startswith(f"{evaluation.model_name}/{evaluation.version} ")
        for result in read.load_verdict(filled, evaluation.id).results:
            figure = figures[result.threshold.metric, result.method or "", result.class_idx]
            assert (result.observed, result.ci_low) == pytest.approx((figure.value, figure.ci_low), nan_ok=True)
            if result.status is Status.PASS:
                low, high, limit = result.ci_low, result.ci_high, result.threshold.limit
                assert low > limit if result.threshold.greater_is_better else high < limit
                assert result.reason == f"{result.observed:.3f} [{low:.3f}, {high:.3f}] clears the limit {limit:g}"
                told += 1
    assert told > 100


def test_scores_per_image_are_kept_of_the_last_versions_and_give_the_figures(filled: Engine) -> None:
    kept = 0
    for evaluation in all_evaluations(filled):
        scores = load_scores(filled, evaluation.id)
        of_large = evaluation.model_name == LARGE_NAME
        predicted, pictures = load_predictions(filled, evaluation.id), gallery_entries(filled, evaluation.id)
        is_kept = of_large or evaluation.version > VERSIONS - 3
        assert (scores is not None, predicted is not None, len(pictures)) == (is_kept, is_kept, 6 * is_kept)
        if scores is not None:
            assert predicted is not None
            kept += 1
            right = np.mean(predicted[0] == predicted[1])
            assert right == figure(filled, evaluation.id, "accuracy")
            assert gallery_map(filled, evaluation.id, 5, "case", 2) is not None
            assert pictures[0].sample_id == scores.sample_ids[0]
            for row in read.load_summaries(filled, evaluation.id):
                if row.metric in {"agreement_mean", "confidence_drop_5"} and row.class_idx is None:
                    name = row.metric.removesuffix("_mean")
                    values = scores.values[row.method, name]
                    assert np.nanmean(values) == pytest.approx(row.value)
                    assert np.isfinite(values).sum() == row.n
    assert kept >= 3 * MODELS


def test_each_version_is_compared_with_the_champion_of_its_time(filled: Engine) -> None:
    for name in names(filled):
        stored = {e.id: e for e in read.evaluations(filled, name)}
        champion = None
        for entry in reversed(promotions(filled, name)):
            evaluation = stored[entry.evaluation_id]
            assert (entry.model_name, entry.version) == (name, evaluation.version)
            assert entry.previous_version == evaluation.baseline_version == (champion and champion.version)
            assert evaluation.baseline_digest == (champion.model_digest if champion else "")
            passed = evaluation.verdict_status is Status.PASS
            assert entry.decision is (Decision.PROMOTED if passed else Decision.WITHHELD)
            assert entry.applied_at
            assert entry.applied_at > entry.decided_at > evaluation.updated_at
            champion = evaluation if passed else champion
        assert champion is not None
    verdicts = {e.verdict_status for e in all_evaluations(filled)}
    assert verdicts == set(Status)


def test_alerts_are_those_that_were_observed(filled: Engine) -> None:
    stored = {e.id: e for e in all_evaluations(filled)}
    lives = {alert.id: alert for alert in load_alert_lives(filled, resolved=True)}
    observations = rows_of(filled, "alert_observations")
    assert len(observations) > MODELS * VERSIONS / 2
    for row in observations:
        alert, evaluation = lives[row["alert_id"]], stored[row["evaluation_id"]]
        assert (alert.rule, alert.method, alert.class_idx) == (row["rule"], row["method"] or "", row["class_idx"])
        assert alert.model_name == evaluation.model_name
        # A night that looks at an evaluation again sees what it saw, and may open an alert later.
        assert alert.opened_at <= evaluation.updated_at or alert.scope is Scope.PRODUCTION
        if alert.class_idx is not None:
            assert alert.class_name == evaluation.class_names[alert.class_idx]
            assert repr(alert.class_name) in row["message"]
    assert {row["alert_id"] for row in observations} <= set(lives)
    open_alerts = [alert for alert in lives.values() if alert.resolved_at is None]
    assert any(alert.acknowledged_by for alert in open_alerts)
    assert any(alert.muted_until for alert in open_alerts)
    assert {alert.scope for alert in lives.values()} == set(Scope)
    assert all(alert.opened_at < alert.resolved_at for alert in lives.values() if alert.resolved_at)


def test_nights_looked_at_champions_within_the_span(filled: Engine) -> None:
    nights = rows_of(filled, "reproductions")
    promoted = {row["evaluation_id"] for row in rows_of(filled, "promotions") if row["decision"] == "promoted"}
    assert {row["evaluation_id"] for row in nights} <= promoted
    assert {row["reproduced"] for row in nights} == {True, False}
    times = sorted(e.updated_at for e in all_evaluations(filled))
    assert timedelta(days=600) < times[-1] - times[0] < timedelta(days=800)
    assert times[-1] <= UNTIL
    assert all(times[0] < row["started_at"] <= UNTIL for row in nights)


def test_one_more_can_be_saved(filled: Engine) -> None:
    before, ids = counts(filled), {e.id for e in all_evaluations(filled)}
    more = evaluation_with(found(), name=HOSTILE_NAME, version=VERSIONS + 1)
    evaluation_id = save_evaluation(filled, more)
    assert evaluation_id == max(ids) + 1
    promotion = Promotion(
        model_name=HOSTILE_NAME,
        alias="champion",
        version=VERSIONS + 1,
        previous_version=None,
        decision=Decision.PROMOTED,
        evaluation_id=evaluation_id,
        reason="",
    )
    record_promotion(filled, promotion)
    after = counts(filled)
    for table in ("evaluations", "model_versions", "promotions"):
        assert after[table] == before[table] + 1, table
    assert after["alerts"] >= before["alerts"]
