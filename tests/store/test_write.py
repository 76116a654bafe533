import dataclasses
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from sqlalchemy import Engine, delete, event, insert, text

from case_monitor.domain.errors import StoreError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.store.connection import writing
from case_monitor.store.read.promotions import promotions
from case_monitor.store.tables import EvaluationRow, PromotionRunRow
from case_monitor.store.write import (
    mark_promotion_applied,
    record_promotion,
    save_evaluation,
    save_reproduction,
    set_mlflow_run,
)
from tests.support.alerting import night
from tests.support.factories import a_gallery, an_evaluation, some_evidence
from tests.support.rows import WORK, counts, rows_of

HOSTILE = "Robert'); DROP TABLE evaluations; -- %s %(x)s {} \\ \"/../日本語 🦠 \u202e\n" + "long" * 1000


def a_promotion(evaluation_id: int, **changes: object) -> Promotion:
    promotion = Promotion(
        model_name="digits",
        alias="champion",
        version=1,
        previous_version=None,
        decision=Decision.PROMOTED,
        evaluation_id=evaluation_id,
        reason="all thresholds passed",
    )
    return replace(promotion, **changes)  # type: ignore[arg-type]


def test_rows_of_every_table(engine: Engine) -> None:
    baseline = ModelVersion(name="digits", version=7, run_id=None, digest="7" * 64)
    evaluation = an_evaluation(baseline=baseline)
    before = datetime.now(UTC)
    evaluation_id = save_evaluation(engine, evaluation)

    [version] = rows_of(engine, "model_versions")
    assert (version["name"], version["version"], version["run_id"]) == ("digits", 1, "r1")

    [row] = rows_of(engine, "evaluations")
    assert row["id"] == evaluation_id
    assert row["model_version_id"] == version["id"]
    assert (row["baseline_version"], row["baseline_digest"]) == (7, "7" * 64)
    assert row["class_names"] == list(evaluation.split.class_names)
    assert row["protocol"]["areas"] == [0.5, 0.05]
    assert row["policy"]["thresholds"][0]["severity"] == "block"
    assert (row["seed"], row["target_layer"], row["mlflow_run_id"]) == (0, "features", None)
    assert row["created_at"] == row["updated_at"]
    assert before <= row["created_at"] <= datetime.now(UTC)
    assert row["created_at"].utcoffset() == timedelta(0)

    metrics = rows_of(engine, "class_metrics")
    assert [r["class_name"] for r in metrics] == list(evaluation.split.class_names)
    assert [r["recall"] for r in metrics] == [None, 0.75, 0.75, 0.75]
    assert [r["active_channels"] for r in metrics] == [12.5, 13.5, 14.5, 15.5]

    confmat = np.zeros_like(evaluation.confmat.counts)
    cells = rows_of(engine, "confusion_cells")
    for cell in cells:
        confmat[cell["target_class"], cell["predicted_class"]] = cell["count"]
    assert (confmat == evaluation.confmat.counts).all()
    assert len(cells) == np.count_nonzero(confmat)
    assert 0 in confmat  # or nothing would be sparse about it

    samples = rows_of(engine, "samples")
    scores = evaluation.scores
    assert tuple(r["sample_id"] for r in samples) == scores.sample_ids
    assert [r["target"] for r in samples] == scores.target.tolist()
    assert [r["top2"] for r in samples] == scores.top2.tolist()
    assert [r["confidence"] for r in samples] == scores.confidence.tolist()

    stored = {(r["method"], r["metric"], r["position"]): r["value"] for r in rows_of(engine, "sample_scores")}
    expected = {
        (*key, i): None if math.isnan(v) else v
        for key, values in scores.values.items()
        for i, v in enumerate(values.tolist())
    }
    assert stored == expected
    assert None in stored.values()

    [result] = rows_of(engine, "threshold_results")
    assert (result["threshold_method"], result["method"], result["limit_value"]) == ("gate", "case", 0.5)
    [alert] = rows_of(engine, "alert_observations")
    assert (alert["rule"], alert["limit_value"], alert["severity"]) == ("agreement_median", 0.5, "block")
    assert len(rows_of(engine, "metric_summaries")) == len(evaluation.summaries)
    assert len(rows_of(engine, "contrast_members")) == 8


def test_saving_again_replaces_the_parts_and_keeps_what_hangs_on_the_row(engine: Engine) -> None:
    first = save_evaluation(engine, an_evaluation(num_samples=80, seed=0))
    other = save_evaluation(engine, an_evaluation(version=2))
    set_mlflow_run(engine, first, "evidence")
    promotion = record_promotion(engine, a_promotion(first))
    [before, untouched] = rows_of(engine, "evaluations")

    again = replace(an_evaluation(num_samples=40, seed=1, status=Status.PASS), duration_s=9.0)
    assert save_evaluation(engine, again) == first

    [after, still_untouched] = rows_of(engine, "evaluations")
    assert (untouched, untouched["id"]) == (still_untouched, other)
    assert (after["created_at"], after["mlflow_run_id"]) == (before["created_at"], "evidence")
    assert after["updated_at"] > before["updated_at"]
    assert (after["duration_s"], after["split_size"], after["verdict_status"]) == (9.0, 40, "pass")
    assert [r["id"] for r in rows_of(engine, "promotions")] == [promotion]
    sample_ids = [r["sample_id"] for r in rows_of(engine, "samples") if r["evaluation_id"] == first]
    assert tuple(sample_ids) == again.scores.sample_ids
    assert not [r for r in rows_of(engine, "alert_observations") if r["evaluation_id"] == first]
    assert len([r for r in rows_of(engine, "alert_observations") if r["evaluation_id"] == other]) == 1


def test_each_part_of_the_key_makes_another_evaluation(engine: Engine) -> None:
    base = an_evaluation()
    baseline = ModelVersion(name="digits", version=9, run_id=None, digest="9" * 64)
    variants = [
        base,
        replace(base, model=replace(base.model, name="letters")),
        replace(base, model=replace(base.model, version=2)),
        replace(base, model=replace(base.model, digest="d" * 64)),
        replace(base, split=replace(base.split, digest="d" * 64)),
        replace(base, provenance=replace(base.provenance, protocol_digest="d" * 64)),
        replace(base, provenance=replace(base.provenance, policy_digest="d" * 64)),
        replace(base, baseline=baseline),
    ]
    ids = [save_evaluation(engine, variant) for variant in variants]
    assert len(set(ids)) == len({variant.key for variant in variants}) == len(variants)
    assert [save_evaluation(engine, variant) for variant in variants] == ids
    assert counts(engine)["model_versions"] == 3


def test_a_new_run_id_of_a_version_is_taken_over(engine: Engine) -> None:
    evaluation = an_evaluation()
    save_evaluation(engine, evaluation)
    save_evaluation(engine, replace(evaluation, model=replace(evaluation.model, run_id="r2")))
    assert [r["run_id"] for r in rows_of(engine, "model_versions")] == ["r2"]


def with_duplicate_sample(evaluation: Evaluation) -> Evaluation:
    ids = evaluation.scores.sample_ids
    return replace(evaluation, scores=replace(evaluation.scores, sample_ids=(ids[1], *ids[1:])))


def with_duplicate_overall_summary(evaluation: Evaluation) -> Evaluation:
    return replace(evaluation, summaries=(*evaluation.summaries, evaluation.summaries[0]))


def with_duplicate_class_summary(evaluation: Evaluation) -> Evaluation:
    per_class = next(s for s in evaluation.summaries if s.class_idx is not None)
    return replace(evaluation, summaries=(*evaluation.summaries, per_class))


def with_nul_in_alert(evaluation: Evaluation) -> Evaluation:
    return replace(evaluation, alerts=(replace(evaluation.alerts[0], advice="a\0b"),))


def with_unknown_status(evaluation: Evaluation) -> Evaluation:
    alert = replace(evaluation.alerts[0], status="maybe")  # type: ignore[arg-type]
    return replace(evaluation, alerts=(alert,))


def with_a_huge_seed(evaluation: Evaluation) -> Evaluation:
    provenance = evaluation.provenance
    return replace(evaluation, provenance=replace(provenance, protocol=replace(provenance.protocol, seed=2**70)))


BROKEN: dict[Callable[[Evaluation], Evaluation], str] = {
    with_duplicate_sample: "sample_id",
    with_duplicate_overall_summary: "uq_metric_summaries_overall|metric_summaries.metric",
    with_duplicate_class_summary: "uq_metric_summaries_per_class|metric_summaries.metric",
    with_nul_in_alert: r"alert_observations.advice holds NUL .*'a\\x00b'",
    with_unknown_status: "ck_alert_observations_status",
    with_a_huge_seed: "out of range|too large",
}


@pytest.mark.parametrize("break_it", BROKEN)
def test_a_failing_write_changes_nothing(engine: Engine, break_it: Callable[[Evaluation], Evaluation]) -> None:
    with pytest.raises(StoreError, match=BROKEN[break_it]) as caught:
        save_evaluation(engine, break_it(an_evaluation()))
    assert "\n" not in str(caught.value)
    assert set(counts(engine).values()) == {0}

    save_evaluation(engine, an_evaluation())
    before = {table: rows_of(engine, table) for table in counts(engine)}
    with pytest.raises(StoreError, match=BROKEN[break_it]):
        save_evaluation(engine, break_it(an_evaluation(seed=1)))
    assert {table: rows_of(engine, table) for table in before} == before


def test_hostile_text_everywhere(engine: Engine) -> None:
    names = (HOSTILE, HOSTILE + "2", "' OR 1=1", "")
    evaluation = an_evaluation(name=HOSTILE, class_names=names)
    evaluation = replace(
        evaluation,
        model=replace(evaluation.model, run_id=HOSTILE),
        split=replace(evaluation.split, name=HOSTILE),
        alerts=(replace(evaluation.alerts[0], message=HOSTILE, rule=HOSTILE),),
        verdict=replace(evaluation.verdict, sentence=HOSTILE),
    )
    evaluation_id = save_evaluation(engine, evaluation)
    assert save_evaluation(engine, evaluation) == evaluation_id
    record_promotion(engine, a_promotion(evaluation_id, model_name=HOSTILE, reason=HOSTILE, alias="a'; --"))
    assert [r["class_name"] for r in rows_of(engine, "class_metrics")] == list(names)
    [row] = rows_of(engine, "evaluations")
    assert (row["class_names"], row["verdict_sentence"], row["split_name"]) == (list(names), HOSTILE, HOSTILE)
    assert rows_of(engine, "model_versions")[0]["name"] == HOSTILE
    assert rows_of(engine, "alert_observations")[0]["message"] == HOSTILE
    assert rows_of(engine, "alerts")[0]["rule"] == HOSTILE
    assert rows_of(engine, "promotions")[0]["reason"] == HOSTILE


def test_a_model_name_longer_than_any_index_entry(engine: Engine) -> None:
    """PostgreSQL compresses first, so the name must not compress."""
    name = np.random.default_rng(0).bytes(50_000).hex()
    evaluation_id = save_evaluation(engine, an_evaluation(name=name))
    assert save_evaluation(engine, an_evaluation(name=name)) == evaluation_id
    assert rows_of(engine, "model_versions")[0]["name"] == name


@pytest.mark.parametrize("bad", ["a\0b", "caf\udce9.png"])
def test_text_that_cannot_be_stored_is_named(engine: Engine, bad: str) -> None:
    evaluation = an_evaluation()
    cases = {
        "model_versions.name": an_evaluation(name=bad),
        "evaluations.class_names": an_evaluation(class_names=("x", bad, "y", "z")),
        "evaluations.policy": replace(evaluation, policy=replace(evaluation.policy, gate_method=bad)),
        "samples.sample_id": replace(
            evaluation,
            scores=replace(evaluation.scores, sample_ids=(bad, *evaluation.scores.sample_ids[1:])),
        ),
    }
    for where, case in cases.items():
        with pytest.raises(StoreError, match=f"^{where} holds NUL or half a surrogate pair"):
            save_evaluation(engine, case)
    with pytest.raises(StoreError, match=r"^evaluations\.mlflow_run_id"):
        set_mlflow_run(engine, 1, bad)
    with pytest.raises(StoreError, match=r"^promotions\.reason"):
        record_promotion(engine, a_promotion(1, reason=bad))
    assert set(counts(engine).values()) == {0}


def test_infinite_and_undefined_limits(engine: Engine) -> None:
    evaluation = an_evaluation()
    limits = (math.inf, -math.inf, math.nan)
    thresholds = tuple(replace(evaluation.policy.thresholds[0], limit=limit) for limit in limits)
    first = evaluation.verdict.results[0]
    results = tuple(replace(first, threshold=replace(first.threshold, limit=limit)) for limit in limits)
    save_evaluation(
        engine,
        replace(
            evaluation,
            policy=replace(evaluation.policy, thresholds=thresholds),
            verdict=replace(evaluation.verdict, results=results),
        ),
    )
    assert [r["limit_value"] for r in rows_of(engine, "threshold_results")] == [math.inf, -math.inf, None]
    [row] = rows_of(engine, "evaluations")
    assert [t["limit"] for t in row["policy"]["thresholds"]] == ["inf", "-inf", None]


def test_numpy_scalars_are_stored_as_numbers(engine: Engine) -> None:
    evaluation = an_evaluation()
    summary = MetricSummary(
        metric="m",
        method="case",
        class_idx=np.int64(2),  # type: ignore[arg-type]
        value=np.float64(0.25),
        n=np.int32(3),  # type: ignore[arg-type]
        ci_low=np.float32("nan"),  # type: ignore[arg-type]
    )
    save_evaluation(engine, replace(evaluation, summaries=(summary,)))
    [row] = rows_of(engine, "metric_summaries")
    assert (row["class_idx"], row["value"], row["n"], row["ci_low"]) == (2, 0.25, 3, None)


def test_an_evaluation_without_parts(engine: Engine) -> None:
    evaluation = an_evaluation(status=Status.INSUFFICIENT)
    no_scores = replace(
        evaluation.scores,
        sample_ids=(),
        target=np.empty(0, np.int64),
        top2=np.empty(0, np.int64),
        confidence=np.empty(0),
        values={key: np.empty(0) for key in evaluation.scores.values},
    )
    empty = replace(
        evaluation,
        class_metrics=(),
        confmat=replace(evaluation.confmat, counts=np.zeros((4, 4), np.int64)),
        contrast_sets=replace(evaluation.contrast_sets, members=((), (), (), ())),
        scores=no_scores,
        summaries=(),
        verdict=replace(evaluation.verdict, results=()),
        alerts=(),
    )
    save_evaluation(engine, empty)
    stored = {"model_versions", "evaluations", "alert_marks", "predictions"}
    assert {table for table, n in counts(engine).items() if n} == stored


def test_a_large_evaluation_is_saved_in_few_statements(engine: Engine) -> None:
    evaluation = an_evaluation(class_names=tuple(f"class {i}" for i in range(1000)), num_samples=2000)
    rng = np.random.default_rng(0)
    scores = replace(
        evaluation.scores,
        sample_ids=tuple(f"image-{i}" for i in range(500)),
        target=rng.integers(0, 1000, 500),
        top2=rng.integers(0, 1000, 500),
        confidence=rng.random(500),
        values={(f"method-{i}", f"metric-{j}"): rng.random(500) for i in range(7) for j in range(5)},
    )
    statements = []
    event.listen(engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    save_evaluation(engine, replace(evaluation, scores=scores))
    assert counts(engine)["sample_scores"] == 17_500
    assert counts(engine)["class_metrics"] == 1000
    assert len(statements) < 200  # row by row there would be tens of thousands


def test_set_mlflow_run(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    [before] = rows_of(engine, "evaluations")
    set_mlflow_run(engine, evaluation_id, "one")
    set_mlflow_run(engine, evaluation_id, "two", "experiment")
    links = {"mlflow_run_id": "two", "mlflow_experiment_id": "experiment"}
    assert rows_of(engine, "evaluations") == [{**before, **links}]
    save_evaluation(engine, an_evaluation(seed=1))
    assert links.items() <= rows_of(engine, "evaluations")[0].items()
    with pytest.raises(StoreError, match="evaluation 99 is not stored"):
        set_mlflow_run(engine, 99, "three")


def test_the_flow_run_is_that_of_the_last_saving(engine: Engine) -> None:
    """The id of a run that is no flow run leads nowhere, and is not stored."""
    in_flow = replace(night(1), flow_run_id="run 1")
    for run, expected in ((night(1), None), (in_flow, "run 1"), (replace(in_flow, flow_run_id="run 2"), "run 2")):
        save_evaluation(engine, an_evaluation(), run)
        assert [row["flow_run_id"] for row in rows_of(engine, "evaluations")] == [expected]
    save_evaluation(engine, an_evaluation())
    assert [row["flow_run_id"] for row in rows_of(engine, "evaluations")] == [None]


def test_a_decision_is_recorded_once(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    first = record_promotion(engine, a_promotion(evaluation_id))
    [row] = rows_of(engine, "promotions")
    assert record_promotion(engine, a_promotion(evaluation_id, reason="said again")) == first
    assert rows_of(engine, "promotions") == [row]
    assert (row["reason"], row["decision"], row["applied_at"]) == ("all thresholds passed", "promoted", None)

    others = [
        record_promotion(engine, a_promotion(evaluation_id, alias="staging")),
        record_promotion(engine, a_promotion(evaluation_id, decision=Decision.WITHHELD, previous_version=3)),
    ]
    assert len({first, *others}) == 3
    assert [p.previous_version for p in promotions(engine, "digits")] == [3, None, None]


def test_applied_at_is_the_first_time(engine: Engine) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    promotion_id = record_promotion(engine, a_promotion(evaluation_id))
    mark_promotion_applied(engine, promotion_id)
    [first] = promotions(engine, "digits")
    mark_promotion_applied(engine, promotion_id)
    assert promotions(engine, "digits") == [first]
    assert first.applied_at is not None
    assert first.decided_at <= first.applied_at <= datetime.now(UTC)
    assert first.applied_at.utcoffset() == timedelta(0)
    with pytest.raises(StoreError, match="promotion 99 is not stored"):
        mark_promotion_applied(engine, 99)


def test_a_second_move_on_the_same_evidence_is_history_of_its_own(engine: Engine) -> None:
    """Somebody moved the alias back by hand, and the gate moved it again."""
    evaluation_id = save_evaluation(engine, an_evaluation())
    first = record_promotion(engine, a_promotion(evaluation_id))
    mark_promotion_applied(engine, first)
    second = record_promotion(engine, a_promotion(evaluation_id))
    assert second != first
    assert record_promotion(engine, a_promotion(evaluation_id)) == second  # open, so the same
    assert [p.applied_at is None for p in promotions(engine, "digits")] == [True, False]


@pytest.mark.parametrize("decision", [Decision.WITHHELD, Decision.KEPT])
def test_a_decision_that_moves_nothing_is_not_said_twice_in_a_row(engine: Engine, decision: Decision) -> None:
    evaluation_id = save_evaluation(engine, an_evaluation())
    said = a_promotion(evaluation_id, decision=decision)
    first = record_promotion(engine, said)
    mark_promotion_applied(engine, first)
    assert record_promotion(engine, said) == first
    moved = record_promotion(engine, a_promotion(evaluation_id, decision=Decision.PROMOTED))
    assert record_promotion(engine, said) not in {first, moved}  # after something else it is news again


def test_a_promotion_needs_evidence_of_that_very_version(engine: Engine) -> None:
    with pytest.raises(StoreError, match="evaluation 1 is not stored"):
        record_promotion(engine, a_promotion(1))
    evaluation_id = save_evaluation(engine, an_evaluation())
    for changes in ({"version": 2}, {"model_name": "letters"}):
        with pytest.raises(StoreError, match=r"is of digits/1, not of (digits/2|letters/1)"):
            record_promotion(engine, a_promotion(evaluation_id, **changes))
    assert rows_of(engine, "promotions") == []


def test_deleting_evaluations(engine: Engine) -> None:
    evaluation = an_evaluation()
    kept, dropped = (
        save_evaluation(engine, of, gallery=a_gallery(evaluation), evidence=some_evidence(of))
        for of in (evaluation, an_evaluation(version=2))
    )
    again = Reproduction(n=9, changed_predictions=0, confidence_difference=0.0, score_difference=0.0, worst="")
    for number, evaluation_id in enumerate((kept, dropped), start=1):
        save_reproduction(engine, evaluation_id, again, an_evaluation(), night(number), "cpu", "2.13.0+cpu")
    promotion_id = record_promotion(engine, a_promotion(kept))
    with writing(engine) as connection:
        connection.execute(insert(PromotionRunRow).values(flow_run_id="run 1", promotion_id=promotion_id))
        connection.execute(delete(EvaluationRow).where(EvaluationRow.id == dropped))
    audit_log = {"promotions", "promotion_runs"}
    lasting = {"model_versions", "evaluations", *audit_log, "alerts", "alert_marks", "alert_notices", *WORK}
    for table in set(counts(engine)) - lasting:
        assert {r["evaluation_id"] for r in rows_of(engine, table)} == {kept}, table
    before = counts(engine)
    for statement in ("DELETE FROM evaluations", "DELETE FROM model_versions WHERE version = 1"):
        with pytest.raises(StoreError, match=r"(?i)foreign key|violates RESTRICT"), writing(engine) as connection:
            connection.execute(text(statement))
    assert counts(engine) == before
    with writing(engine) as connection:
        connection.execute(text("DELETE FROM promotions"))
    assert rows_of(engine, "promotion_runs") == []


def test_every_field_of_the_records_has_a_column(engine: Engine) -> None:
    """A field added to a record must not be lost on the way into the database."""
    columns = {table: set(rows[0]) for table in counts_after_save(engine) if (rows := rows_of(engine, table))}
    evaluation = an_evaluation()
    renamed = {"limit": "limit_value", "threshold": "metric"}
    for table, record in {
        "class_metrics": evaluation.class_metrics[0],
        "contrast_members": evaluation.contrast_sets.members[0][0],
        "metric_summaries": evaluation.summaries[0],
        "threshold_results": evaluation.verdict.results[0],
        "alert_observations": evaluation.alerts[0],
    }.items():
        fields = {renamed.get(f.name, f.name) for f in dataclasses.fields(record)}  # type: ignore[arg-type]
        assert fields <= columns[table], table


def counts_after_save(engine: Engine) -> dict[str, int]:
    save_evaluation(engine, an_evaluation())
    return counts(engine)
