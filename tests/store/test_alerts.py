"""Alerts in the database: one row per life, whatever is retried, late or at the same time."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from sqlalchemy import Engine, delete, insert, text
from sqlalchemy.exc import IntegrityError

from case_monitor.alerts.life import EvaluationRun, Scope
from case_monitor.domain.errors import StoreError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy, Severity
from case_monitor.domain.status import Status
from case_monitor.store.connection import connect, writing
from case_monitor.store.read.alerts import StoredAlert, load_alert_lives, load_alerts
from case_monitor.store.tables import AlertRow, EvaluationRow
from case_monitor.store.write import acknowledge, claim_notices, mute, save_evaluation, settle_notices, unmute
from tests.support.alerting import FIRST_NIGHT, RECALL, evaluation_with, found, night, recall
from tests.support.rows import counts, rows_of

WRITERS = 4
BROKEN = evaluation_with(found())
HEALED = evaluation_with(found(status=Status.PASS, observed=0.3))


def with_new_data(evaluation: Evaluation, number: int) -> Evaluation:
    """Another key: another split."""
    return replace(evaluation, split=replace(evaluation.split, digest=f"{number:064x}"))


def only(engine: Engine) -> StoredAlert:
    [alert] = load_alert_lives(engine, resolved=True)
    return alert


def kinds(engine: Engine) -> list[str]:
    return [row["kind"] for row in rows_of(engine, "alert_notices")]


@pytest.mark.parametrize("new_data", [True, False])
def test_three_nights_are_one_alert_with_three_observations_and_one_notice(engine: Engine, new_data: bool) -> None:
    for number in (1, 2, 3):
        save_evaluation(engine, with_new_data(BROKEN, number * new_data), night(number))
    alert = only(engine)
    assert (alert.observations, alert.resolved_at, kinds(engine)) == (3, None, ["opened"])
    assert (alert.opened_at, alert.last_seen_at) == (FIRST_NIGHT, FIRST_NIGHT + timedelta(days=2))
    observations = rows_of(engine, "alert_observations")
    assert [row["alert_id"] for row in observations] == [alert.id] * (3 if new_data else 1)

    save_evaluation(engine, with_new_data(HEALED, 4 * new_data), night(4))
    alert = only(engine)
    assert (alert.observations, kinds(engine)) == (3, ["opened", "resolved"])
    assert (alert.resolved_at, alert.resolution) == (night(4).started_at, "0.300 [0.280, 0.320] against 0.5")
    assert load_alert_lives(engine) == ()

    save_evaluation(engine, BROKEN, night(5))
    assert [a.id for a in load_alert_lives(engine)] == [alert.id + 1]
    assert kinds(engine) == ["opened", "resolved", "opened"]


def test_every_column_of_an_alert(engine: Engine) -> None:
    baseline = ModelVersion(name="digits", version=7, run_id=None, digest="7" * 64)
    save_evaluation(engine, evaluation_with(recall(2), version=8, baseline=baseline), night(1, Scope.CANDIDATE))
    assert only(engine) == StoredAlert(
        id=1,
        model_name="digits",
        scope=Scope.CANDIDATE,
        rule="recall",
        method="",
        class_idx=2,
        class_name="<script>alert(1)</script>",
        version=8,
        baseline_version=7,
        severity=Severity.WARN,
        status=Status.FAIL,
        worst_severity=Severity.WARN,
        worst_status=Status.FAIL,
        observed=0.3,
        limit_value=0.5,
        message="recall for class '<script>alert(1)</script>': 0.300 [0.280, 0.320] against 0.5.",
        advice="Look at the gallery.",
        opened_at=FIRST_NIGHT,
        last_seen_at=FIRST_NIGHT,
        observations=1,
        resolved_at=None,
        resolution=None,
        acknowledged_at=None,
        acknowledged_by=None,
        muted_until=None,
        mute_reason=None,
        muted_at=None,
        muted_by=None,
    )


def test_a_retry_is_no_observation(engine: Engine) -> None:
    for _ in range(3):
        save_evaluation(engine, BROKEN, night(1))
    alert = only(engine)
    assert (alert.observations, kinds(engine)) == (1, ["opened"])
    assert [row["alert_id"] for row in rows_of(engine, "alert_observations")] == [alert.id]
    save_evaluation(engine, HEALED, night(2))
    save_evaluation(engine, HEALED, night(2))
    save_evaluation(engine, BROKEN, night(1))  # a retry that comes a night late
    assert (only(engine).observations, kinds(engine)) == (1, ["opened", "resolved"])


def test_without_a_run_each_call_is_one(engine: Engine) -> None:
    save_evaluation(engine, BROKEN)
    save_evaluation(engine, BROKEN)
    assert (only(engine).observations, only(engine).scope, kinds(engine)) == (2, Scope.CANDIDATE, ["opened"])


@pytest.mark.parametrize(("later", "late"), [(BROKEN, HEALED), (HEALED, BROKEN)])
def test_an_evaluation_that_started_earlier_is_not_applied(engine: Engine, later: Evaluation, late: Evaluation) -> None:
    save_evaluation(engine, with_new_data(later, 2), night(2))
    before = rows_of(engine, "alerts"), kinds(engine)
    evaluation_id = save_evaluation(engine, with_new_data(late, 1), night(1))
    assert (rows_of(engine, "alerts"), kinds(engine)) == before
    assert load_alerts(engine, evaluation_id) == late.alerts  # it is stored nevertheless


def test_no_evidence_is_no_good_news(engine: Engine) -> None:
    save_evaluation(engine, evaluation_with(recall(1), found()), night(1))
    unclear = evaluation_with(recall(1, Status.INSUFFICIENT), found(status=Status.INSUFFICIENT))
    save_evaluation(engine, unclear, night(2))
    on_class, on_maps = sorted(load_alert_lives(engine), key=lambda alert: alert.rule, reverse=True)
    assert (on_class.status, on_class.observations) == (Status.FAIL, 1)
    assert (on_maps.status, on_maps.worst_status, on_maps.observations) == (Status.INSUFFICIENT, Status.FAIL, 2)
    save_evaluation(engine, evaluation_with(found()), night(3))  # as bad as it was, so nothing new
    assert kinds(engine) == ["opened", "opened"]


def test_getting_worse_is_told_once(engine: Engine) -> None:
    for number, (severity, status) in enumerate(
        [
            (Severity.BLOCK, Status.INSUFFICIENT),
            (Severity.BLOCK, Status.FAIL),
            (Severity.BLOCK, Status.INSUFFICIENT),
            (Severity.BLOCK, Status.FAIL),
        ]
    ):
        save_evaluation(engine, evaluation_with(found(severity=severity, status=status)), night(number))
    assert kinds(engine) == ["opened", "worsened"]
    assert only(engine).observations == 4


def test_a_rule_that_left_the_policy(engine: Engine) -> None:
    save_evaluation(engine, BROKEN, night(1))
    save_evaluation(engine, evaluation_with(recall(0, Status.PASS), policy=Policy(thresholds=(RECALL,))), night(2))
    assert only(engine).resolution == "the policy no longer has this rule"
    assert kinds(engine) == ["opened", "resolved"]


def test_a_failing_candidate_and_the_healthy_champion(engine: Engine) -> None:
    candidate = evaluation_with(found(), version=2)
    for number in range(1, 5):
        save_evaluation(engine, HEALED, night(number))
        save_evaluation(engine, candidate, night(number, Scope.CANDIDATE))
    assert (only(engine).scope, only(engine).observations, kinds(engine)) == (Scope.CANDIDATE, 4, ["opened"])


def test_a_candidate_takes_its_alerts_into_production(engine: Engine) -> None:
    candidate = evaluation_with(recall(1), version=2)
    save_evaluation(engine, candidate, night(1, Scope.CANDIDATE))
    save_evaluation(engine, HEALED, night(2))  # the champion, another version
    assert only(engine).resolved_at is None
    save_evaluation(engine, candidate, night(3))
    now, before = load_alert_lives(engine, resolved=True)
    assert (now.scope, now.resolved_at) == (Scope.PRODUCTION, None)
    assert before.resolution == "the version is in production now, and has its alerts there"
    assert kinds(engine) == ["opened", "opened"]


def test_models_have_alerts_of_their_own(engine: Engine) -> None:
    save_evaluation(engine, BROKEN, night(1))
    save_evaluation(engine, evaluation_with(found(), name="letters"), night(1))
    assert [a.model_name for a in load_alert_lives(engine)] == ["letters", "digits"]
    assert [a.model_name for a in load_alert_lives(engine, "digits")] == ["digits"]
    assert load_alert_lives(engine, "a\0b") == ()


def test_acknowledged(engine: Engine) -> None:
    save_evaluation(engine, evaluation_with(found(severity=Severity.WARN)), night(1))
    acknowledge(engine, 1, "Ann")
    assert only(engine).acknowledged_by == "Ann"
    save_evaluation(engine, evaluation_with(found(severity=Severity.WARN)), night(2))
    save_evaluation(engine, BROKEN, night(3))
    save_evaluation(engine, HEALED, night(4))
    assert kinds(engine) == ["opened", "worsened", "resolved"]
    assert only(engine).acknowledged_by == "Ann"


def test_muted_for_some_nights(engine: Engine) -> None:
    save_evaluation(engine, evaluation_with(found(status=Status.INSUFFICIENT)), night(1))
    mute(engine, 1, night(4).started_at, "a new camera", "Ann")
    for number in (2, 3):
        save_evaluation(engine, BROKEN, night(number))
    assert kinds(engine) == ["opened"]
    assert (only(engine).observations, only(engine).mute_reason, only(engine).muted_by) == (3, "a new camera", "Ann")
    for number in (4, 5):
        save_evaluation(engine, BROKEN, night(number))
    assert kinds(engine) == ["opened", "still_open"]
    alert = only(engine)
    assert (alert.muted_until, alert.mute_reason, alert.muted_at, alert.muted_by) == (None,) * 4


def test_a_mute_goes_on_when_the_alert_comes_back(engine: Engine) -> None:
    save_evaluation(engine, BROKEN, night(1))
    mute(engine, 1, night(5).started_at, "flaps", "Ann")
    for number in (2, 3, 4):
        save_evaluation(engine, HEALED if number % 2 else BROKEN, night(number))
    assert kinds(engine) == ["opened"]
    [again] = load_alert_lives(engine)
    assert (again.id, again.muted_until, again.mute_reason, again.muted_by) == (2, night(5).started_at, "flaps", "Ann")
    unmute(engine, 2)
    save_evaluation(engine, HEALED, night(4))  # a retry
    late = replace(night(4), id="again")
    save_evaluation(engine, HEALED, late)
    save_evaluation(engine, BROKEN, replace(late, id="and again"))
    assert kinds(engine) == ["opened", "resolved", "opened"]  # the first alert's mute is history


@pytest.mark.parametrize(
    "change",
    [
        lambda engine, id_: acknowledge(engine, id_, "Ann"),
        lambda engine, id_: mute(engine, id_, datetime.now(UTC), "why", "Ann"),
        unmute,
    ],
)
def test_only_open_alerts_can_be_changed(engine: Engine, change: object) -> None:
    save_evaluation(engine, BROKEN, night(1))
    save_evaluation(engine, HEALED, night(2))
    for alert_id in (1, 99):
        with pytest.raises(StoreError, match=f"^alert {alert_id} is not open; see: case-monitor alerts$"):
            change(engine, alert_id)  # type: ignore[operator]


def test_two_open_alerts_on_one_thing_are_refused(engine: Engine) -> None:
    save_evaluation(engine, evaluation_with(found(), recall(1)), night(1))
    for row in rows_of(engine, "alerts"):
        row.pop("id")
        with pytest.raises(IntegrityError, match=r"uq_alerts_open|alerts\.name_digest"), engine.begin() as connection:
            connection.execute(insert(AlertRow).values(row))
        with engine.begin() as connection:  # resolved ones may be many
            connection.execute(insert(AlertRow).values(row | {"resolved_at": FIRST_NIGHT}))


def test_a_write_that_fails_leaves_no_alert(engine: Engine) -> None:
    bad = replace(BROKEN, alerts=(replace(BROKEN.alerts[0], advice="a\0b"),))
    with pytest.raises(StoreError, match="holds NUL"):
        save_evaluation(engine, bad, night(1))
    assert set(counts(engine).values()) == {0}
    save_evaluation(engine, BROKEN, night(1))
    assert (only(engine).observations, kinds(engine)) == (1, ["opened"])


def test_alerts_outlive_their_evaluations(engine: Engine) -> None:
    save_evaluation(engine, BROKEN, night(1))
    with writing(engine) as connection:
        connection.execute(delete(EvaluationRow))
    assert rows_of(engine, "alert_observations") == []
    assert only(engine).resolved_at is None
    save_evaluation(engine, BROKEN, night(2))
    assert (only(engine).observations, kinds(engine)) == (2, ["opened"])


def test_threads_that_open_the_same_alert(engine: Engine) -> None:
    barrier = Barrier(WRITERS)

    def save(number: int) -> int:
        barrier.wait()
        run = EvaluationRun(id=f"writer {number}", started_at=FIRST_NIGHT, scope=Scope.CANDIDATE)
        return save_evaluation(engine, evaluation_with(found(), recall(1), version=number), run)

    with ThreadPoolExecutor(WRITERS) as pool:
        list(pool.map(save, range(1, WRITERS + 1)))
    assert [(a.rule, a.observations) for a in load_alert_lives(engine, resolved=True)] == [
        ("recall", WRITERS),
        ("agreement_median", WRITERS),
    ]
    assert kinds(engine) == ["opened", "opened"]


def save_nights(url: str, writer: int) -> None:
    """What each of the processes does: one opens and the other resolves, in production and as a candidate."""
    engine = connect(url)
    for number in range(8):
        scope = Scope.PRODUCTION if number % 2 else Scope.CANDIDATE
        run = replace(night(number, scope), id=f"{writer}-{number}")
        save_evaluation(engine, BROKEN if writer else HEALED, run)
    engine.dispose()


def test_processes_that_open_and_resolve(engine: Engine, database_url: str) -> None:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        list(pool.map(save_nights, [database_url] * 2, range(2)))
    lives = load_alert_lives(engine, resolved=True)
    assert sum(life.resolved_at is None for life in lives) <= 2
    assert 1 <= sum(life.observations for life in lives) <= 8
    assert kinds(engine).count("opened") == len(lives)


def test_notices_are_claimed_by_one_run(engine: Engine) -> None:
    save_evaluation(engine, evaluation_with(found(), recall(1)), night(1))
    with ThreadPoolExecutor(WRITERS) as pool:
        claims = list(pool.map(lambda _: claim_notices(engine), range(WRITERS)))
    assert sorted(map(len, claims)) == [0] * (WRITERS - 1) + [2]
    assert claim_notices(engine) == []


def test_a_notice_is_sent_when_every_channel_took_it(engine: Engine) -> None:
    save_evaluation(engine, BROKEN, night(1))
    [notice] = claim_notices(engine)
    assert (notice.kind, notice.severity, notice.model_name, notice.delivered_to) == ("opened", "block", "digits", ())
    settle_notices(engine, {notice.id: ("aaaa",)}, {"aaaa", "bbbb"})
    [notice] = claim_notices(engine)
    assert notice.delivered_to == ("aaaa",)
    settle_notices(engine, {notice.id: ("aaaa", "bbbb")}, {"aaaa", "bbbb"})
    assert claim_notices(engine) == []
    assert rows_of(engine, "alert_notices")[0]["sent_at"] is not None


@pytest.mark.parametrize(
    ("column", "age", "due"),
    [
        ("claimed_until", timedelta(seconds=1), True),
        ("claimed_until", -timedelta(minutes=1), False),
        ("created_at", timedelta(days=6), True),
        ("created_at", timedelta(days=8), False),
    ],
)
def test_claims_end_and_old_news_is_no_news(engine: Engine, column: str, age: timedelta, due: bool) -> None:
    save_evaluation(engine, BROKEN, night(1))
    with writing(engine) as connection:
        statement = text(f"UPDATE alert_notices SET {column} = :moment")
        moment = datetime.now(UTC) - age
        connection.execute(statement, {"moment": moment.replace(tzinfo=None) if is_sqlite(engine) else moment})
    assert len(claim_notices(engine)) == due


def is_sqlite(engine: Engine) -> bool:
    return engine.dialect.name == "sqlite"
