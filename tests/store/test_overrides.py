"""Overrides in the audit log, and the alert that stands as long as they do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from case_monitor.alerts.life import NoticeKind, Scope
from case_monitor.alerts.override import Override, override_alert
from case_monitor.alerts.standing import OVERRIDE
from case_monitor.domain.errors import StoreError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Severity
from case_monitor.domain.promotion import Decision, Promotion
from case_monitor.store.connection import reading
from case_monitor.store.read.alerts import load_alert_lives
from case_monitor.store.read.champions import champions
from case_monitor.store.read.overrides import standing_override
from case_monitor.store.read.promotions import promotions
from case_monitor.store.tables import name_digest
from case_monitor.store.write import (
    apply_override,
    claim_notices,
    mark_promotion_applied,
    mute,
    record_promotion,
    save_evaluation,
    settle_notices,
)
from tests.support.alerting import evaluation_with, found, night
from tests.support.rows import rows_of

UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)


def evaluated(engine: Engine, version: int) -> int:
    return save_evaluation(engine, evaluation_with(version=version), night(version, Scope.CANDIDATE))


def entry(evaluation_id: int, version: int, decision: Decision = Decision.OVERRIDDEN, **changes: object) -> Promotion:
    promotion = Promotion(
        model_name="digits",
        alias="champion",
        version=version,
        previous_version=2,
        decision=decision,
        evaluation_id=evaluation_id,
        reason="new camera",
    )
    if decision is Decision.OVERRIDDEN:
        promotion = replace(promotion, decided_by="Ann", valid_until=UNTIL)
    return replace(promotion, **changes)  # type: ignore[arg-type]


def made(promotion: Promotion) -> Override:
    assert promotion.decided_by is not None
    assert promotion.valid_until is not None
    return Override(
        model_name=promotion.model_name,
        version=promotion.version,
        alias=promotion.alias,
        by=promotion.decided_by,
        reason=promotion.reason,
        until=promotion.valid_until,
    )


def overridden(engine: Engine, version: int, **changes: object) -> int:
    promotion = entry(evaluated(engine, version), version, **changes)
    promotion_id = record_promotion(engine, promotion)
    model = ModelVersion(name="digits", version=version, run_id=None, digest=str(version))
    for _ in range(2):  # a step that is tried again
        apply_override(engine, promotion_id, made(promotion), model, f"override {version}")
    return promotion_id


def notices(engine: Engine) -> list[tuple[NoticeKind, str]]:
    """Those that were not told so far."""
    told = claim_notices(engine)
    settle_notices(engine, {notice.id: () for notice in told}, set())
    return [(notice.kind, notice.title) for notice in told]


def open_rules(engine: Engine) -> set[tuple[str, int, Severity]]:
    return {(alert.rule, alert.version, alert.severity) for alert in load_alert_lives(engine)}


def in_production(version: int, *alerts: object, looked_at: frozenset[str] = frozenset({OVERRIDE})) -> Evaluation:
    evaluation = evaluation_with(found(), version=version)
    return replace(evaluation, alerts=(*evaluation.alerts, *alerts), in_production=True, looked_at=looked_at)


def test_an_override_is_logged_with_who_why_and_until_when(engine: Engine) -> None:
    promotion_id = overridden(engine, 3)
    [logged] = promotions(engine, "digits")
    assert (logged.id, logged.decision, logged.version, logged.previous_version) == (
        promotion_id,
        Decision.OVERRIDDEN,
        3,
        2,
    )
    assert (logged.decided_by, logged.reason, logged.valid_until) == ("Ann", "new camera", UNTIL)
    assert logged.applied_at is not None
    with reading(engine) as connection:
        assert champions(connection, "champion") == {name_digest("digits"): 3}


def test_people_are_told_once_and_no_other_alert_changes(engine: Engine) -> None:
    save_evaluation(engine, evaluation_with(found(), version=2), night(1))
    evaluated(engine, 3)
    before = load_alert_lives(engine)
    notices(engine)
    overridden(engine, 3)
    assert notices(engine) == [(NoticeKind.OPENED, "digits/3 (production): alert: override")]
    after = load_alert_lives(engine)
    assert tuple(alert for alert in after if alert.rule != OVERRIDE) == before
    [alert] = [alert for alert in after if alert.rule == OVERRIDE]
    assert (alert.scope, alert.severity, alert.version, alert.observations) == ("production", "warn", 3, 1)
    assert alert.message == override_alert(made(entry(1, 3)), datetime.now(UTC)).message


def test_another_override_is_told_whatever_was_muted(engine: Engine) -> None:
    overridden(engine, 3)
    [alert] = load_alert_lives(engine)
    mute(engine, alert.id, UNTIL, "known", "Bo")
    notices(engine)
    overridden(engine, 4, reason="another camera")
    assert notices(engine) == [(NoticeKind.OPENED, "digits/4 (production): alert: override")]
    assert open_rules(engine) == {(OVERRIDE, 4, Severity.WARN)}
    assert [row["resolution"] for row in rows_of(engine, "alerts")] == ["another override took its place", None]


@pytest.mark.parametrize(("version", "decision"), [(4, Decision.PROMOTED), (3, Decision.KEPT)])
def test_it_is_over_when_the_gate_lets_a_version_have_the_alias(
    engine: Engine, version: int, decision: Decision
) -> None:
    overridden(engine, 3)
    save_evaluation(engine, in_production(3, override_alert(made(entry(1, 3)), UNTIL)), night(9))
    notices(engine)
    promotion_id = record_promotion(engine, entry(evaluated(engine, version), version, decision))
    assert standing_override(engine, "digits", "champion") is not None  # so far it was only decided
    others = open_rules(engine) - {(OVERRIDE, 3, Severity.WARN)}
    for _ in range(2):
        mark_promotion_applied(engine, promotion_id)
    assert notices(engine) == [(NoticeKind.RESOLVED, f"digits/{version} (production): resolved: override")]
    assert open_rules(engine) == others
    assert standing_override(engine, "digits", "champion") is None


@pytest.mark.parametrize(
    ("version", "decision", "alias"), [(4, Decision.WITHHELD, "champion"), (4, Decision.PROMOTED, "shadow")]
)
def test_nothing_else_ends_it(engine: Engine, version: int, decision: Decision, alias: str) -> None:
    overridden(engine, 3)
    mark_promotion_applied(
        engine, record_promotion(engine, entry(evaluated(engine, version), version, decision, alias=alias))
    )
    assert open_rules(engine) == {(OVERRIDE, 3, Severity.WARN)}
    assert standing_override(engine, "digits", "champion") == made(entry(1, 3))
    assert standing_override(engine, "digits", "shadow") is None


def test_a_night_after_its_end_makes_it_block(engine: Engine) -> None:
    overridden(engine, 3)
    notices(engine)
    now = datetime.now(UTC)
    for days, severity, told in (
        (1, Severity.WARN, []),
        (2, Severity.BLOCK, [(NoticeKind.WORSENED, "digits/3 (production): alert got worse: override")]),
        (3, Severity.BLOCK, []),
    ):
        at = UNTIL if severity is Severity.BLOCK else now
        run = replace(night(days), started_at=now + timedelta(days=days))
        save_evaluation(engine, replace(in_production(3), alerts=(override_alert(made(entry(1, 3)), at),)), run)
        assert open_rules(engine) == {(OVERRIDE, 3, severity)}
        assert notices(engine) == told


def test_a_night_that_began_before_the_override_says_nothing_about_it(engine: Engine) -> None:
    began = replace(night(1), started_at=datetime.now(UTC) - timedelta(minutes=5))
    overridden(engine, 3)
    save_evaluation(engine, replace(in_production(2), alerts=()), began)  # version 2 was in production then
    assert open_rules(engine) == {(OVERRIDE, 3, Severity.WARN)}
    save_evaluation(engine, replace(in_production(2), alerts=()), replace(began, id="later", started_at=UNTIL))
    assert open_rules(engine) == set()  # somebody moved the alias back by hand


def test_an_override_that_came_to_nothing_gives_way_to_the_next_words(engine: Engine) -> None:
    evaluation_id = evaluated(engine, 3)
    first = record_promotion(engine, entry(evaluation_id, 3))
    again = record_promotion(engine, entry(evaluation_id, 3, decided_by="Bo", reason="because"))
    assert first == again
    [logged] = promotions(engine, "digits")
    assert (logged.decided_by, logged.reason, logged.applied_at) == ("Bo", "because", None)
    mark_promotion_applied(engine, again)
    third = record_promotion(engine, entry(evaluation_id, 3))  # moved back by hand, and overridden anew
    assert third != first
    assert [(p.decided_by, p.applied_at is None) for p in promotions(engine, "digits")] == [
        ("Ann", True),
        ("Bo", False),
    ]


def test_an_entry_must_be_there(engine: Engine) -> None:
    model = ModelVersion(name="digits", version=3, run_id=None, digest="3")
    with pytest.raises(StoreError, match="promotion 7 is not stored"):
        apply_override(engine, 7, made(entry(1, 3)), model, "run")
    assert load_alert_lives(engine) == ()
