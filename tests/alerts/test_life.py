"""The life of an alert, without a database."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from case_monitor.alerts.life import AlertIdentity, Mute, NoticeKind, OpenAlert, Scope, Step, next_steps, worst
from case_monitor.alerts.standing import GOOD_NEWS
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import Policy, Severity
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult
from case_monitor.judging.unasked import unasked_alert
from tests.support.alerting import FIRST_NIGHT, RECALL, evaluation_with, found, recall

NOW = FIRST_NIGHT
ON_MAPS = AlertIdentity(rule="agreement_median", method="case", class_idx=None)
ON_CLASS_1 = AlertIdentity(rule="recall", method="", class_idx=1)
BLOCK, WARN = Severity.BLOCK, Severity.WARN
PASS, FAIL, INSUFFICIENT = Status.PASS, Status.FAIL, Status.INSUFFICIENT


def an_open(
    identity: AlertIdentity = ON_MAPS,
    known: tuple[Severity, Status] = (BLOCK, FAIL),
    *,
    acknowledged: bool = False,
    muted_until: datetime | None = None,
) -> OpenAlert:
    return OpenAlert(
        id=7,
        identity=identity,
        class_name=None,
        message="it was bad",
        opened_at=NOW - timedelta(days=1),
        observations=1,
        worst_severity=known[0],
        worst_status=known[1],
        acknowledged=acknowledged,
        mute=Mute(until=muted_until, reason="known") if muted_until else None,
    )


def steps(evaluation: Evaluation, *known: OpenAlert, mutes: dict[AlertIdentity, Mute] | None = None) -> list[Step]:
    return next_steps(known, evaluation, NOW, mutes or {}, Scope.PRODUCTION)


def test_it_opens() -> None:
    [step] = steps(evaluation_with(found(), recall(1, PASS)))
    assert (step.identity, step.before, step.notice) == (ON_MAPS, None, NoticeKind.OPENED)


def test_it_goes_on_without_a_word() -> None:
    [step] = steps(evaluation_with(found()), an_open())
    assert step.alert is not None
    assert (step.before, step.notice) == (an_open(), None)


def test_it_resolves_when_the_rule_passes() -> None:
    [step] = steps(evaluation_with(found(status=PASS, observed=0.3)), an_open())
    assert (step.alert, step.notice) == (None, NoticeKind.RESOLVED)
    assert step.reason == "0.300 [0.280, 0.320] against 0.5"


@pytest.mark.parametrize(
    ("before", "now", "notice"),
    [
        ((WARN, FAIL), (BLOCK, FAIL), NoticeKind.WORSENED),
        ((BLOCK, INSUFFICIENT), (BLOCK, FAIL), NoticeKind.WORSENED),
        ((WARN, FAIL), (BLOCK, INSUFFICIENT), NoticeKind.WORSENED),
        ((BLOCK, FAIL), (WARN, FAIL), None),
        ((BLOCK, FAIL), (BLOCK, INSUFFICIENT), None),
        ((BLOCK, FAIL), (BLOCK, FAIL), None),
    ],
)
def test_only_what_is_worse_than_ever_is_told(
    before: tuple[Severity, Status], now: tuple[Severity, Status], notice: NoticeKind | None
) -> None:
    [step] = steps(evaluation_with(found(severity=now[0], status=now[1])), an_open(known=before))
    assert step.notice is notice


def test_worst_of_severity_and_status_each() -> None:
    [alert] = evaluation_with(found(severity=WARN)).alerts
    assert worst(alert, BLOCK, INSUFFICIENT) == (BLOCK, FAIL)


def test_an_acknowledged_alert_tells_only_that_it_came_to_block_and_its_end() -> None:
    known = an_open(known=(WARN, INSUFFICIENT), acknowledged=True)
    assert [s.notice for s in steps(evaluation_with(found(severity=WARN)), known)] == [None]
    assert [s.notice for s in steps(evaluation_with(found()), known)] == [NoticeKind.WORSENED]
    assert [s.notice for s in steps(evaluation_with(found(status=PASS)), known)] == [NoticeKind.RESOLVED]


@pytest.mark.parametrize("result", [found(), found(status=PASS)])
def test_a_muted_alert_says_nothing(result: ThresholdResult) -> None:
    known = an_open(known=(WARN, FAIL), muted_until=NOW + timedelta(seconds=1))
    [step] = steps(evaluation_with(result), known)
    assert (step.notice, step.mute) == (None, known.mute)


def test_when_the_mute_ends_it_is_told_once_that_it_is_still_open() -> None:
    [step] = steps(evaluation_with(found()), an_open(muted_until=NOW))
    assert (step.notice, step.mute) == (NoticeKind.STILL_OPEN, None)
    [step] = steps(evaluation_with(found(status=PASS)), an_open(muted_until=NOW))
    assert step.notice is NoticeKind.RESOLVED


def test_a_mute_outlives_the_alert() -> None:
    mute = Mute(until=NOW + timedelta(days=1), reason="known")
    [step] = steps(evaluation_with(found()), mutes={ON_MAPS: mute})
    assert (step.notice, step.mute) == (None, mute)
    over = Mute(until=NOW, reason="known")
    [step] = steps(evaluation_with(found()), mutes={ON_MAPS: over})
    assert (step.notice, step.mute) == (NoticeKind.OPENED, None)


@pytest.mark.parametrize(
    "results",
    [
        [recall(1, INSUFFICIENT)],
        [],
        [recall(1, PASS), recall(1, INSUFFICIENT)],
        [found(status=PASS)],
    ],
)
def test_no_evidence_resolves_nothing(results: list[ThresholdResult]) -> None:
    assert steps(evaluation_with(*results), an_open(ON_CLASS_1)) == []


def test_a_rule_that_left_the_policy_resolves_its_alert() -> None:
    evaluation = evaluation_with(recall(0, PASS), policy=Policy(thresholds=(RECALL,)))
    [step, other] = steps(evaluation, an_open(), an_open(replace(ON_CLASS_1, class_idx=0)))
    assert (step.identity, step.reason) == (ON_MAPS, "the policy no longer has this rule")
    assert other.reason == "0.300 [0.280, 0.320] against 0.5"


def test_a_new_gate_method_is_another_rule() -> None:
    evaluation = evaluation_with(found(method="gradcam"))
    evaluation = replace(evaluation, policy=replace(evaluation.policy, gate_method="gradcam"))
    opened, resolved = steps(evaluation, an_open())
    assert (opened.identity.method, opened.notice) == ("gradcam", NoticeKind.OPENED)
    assert (resolved.identity, resolved.reason) == (ON_MAPS, "the policy no longer has this rule")


def test_a_class_that_is_gone_resolves_its_alert() -> None:
    [step] = steps(evaluation_with(recall(0, PASS)), an_open(ON_CLASS_1))
    assert step.reason == "the model no longer has this class"


@pytest.mark.parametrize(("value", "resolves"), [(1.0, True), (0.9, False), (float("nan"), False)])
def test_broken_logits_are_judged_only_while_they_are_broken(value: float, resolves: bool) -> None:
    evaluation = evaluation_with(found(status=PASS))
    summary = MetricSummary(metric="finite_logits", method="", value=value, n=80)
    identity = AlertIdentity(rule="finite_logits", method="", class_idx=None)
    found_steps = steps(replace(evaluation, summaries=(summary,)), an_open(identity))
    assert [s.reason for s in found_steps] == ["all logits are finite"] * resolves


@pytest.mark.parametrize(("scope", "opens"), [(Scope.PRODUCTION, False), (Scope.CANDIDATE, True)])
def test_in_production_doubt_opens_no_alert_and_ends_none(scope: Scope, opens: bool) -> None:
    doubt = replace(found(status=INSUFFICIENT), p_value=0.3)
    opened = next_steps([], evaluation_with(doubt), NOW, {}, scope)
    assert [s.notice for s in opened] == [NoticeKind.OPENED] * opens
    [step] = next_steps([an_open()], evaluation_with(doubt), NOW, {}, scope)
    assert (step.alert is not None, step.notice) == (True, None)
    missing = replace(found(status=INSUFFICIENT), p_value=float("nan"))  # nothing was measured: that is told
    assert [s.notice for s in next_steps([], evaluation_with(missing), NOW, {}, scope)] == [NoticeKind.OPENED]
    both = evaluation_with(doubt, found(limit=0.7))
    assert [s.notice for s in next_steps([], both, NOW, {}, scope)] == [NoticeKind.OPENED]


def test_a_policy_that_asked_for_nothing_is_over_when_it_is_not_said_again() -> None:
    evaluation = evaluation_with(found(status=PASS))
    unasked = unasked_alert(evaluation.model)
    identity = AlertIdentity(rule=unasked.rule, method="", class_idx=None)
    [step] = steps(replace(evaluation, alerts=(unasked,)), an_open(identity))
    assert step.alert == unasked
    [step] = steps(evaluation, an_open(identity))
    assert step.notice is NoticeKind.RESOLVED
    assert str(step.reason).startswith("a blocking rule asks how good a version is")


@pytest.mark.parametrize("rule", GOOD_NEWS)
def test_a_standing_alert_ends_only_when_it_was_looked_at(rule: str) -> None:
    known = an_open(AlertIdentity(rule=rule, method="", class_idx=None))
    evaluation = evaluation_with(found(status=PASS))
    assert steps(evaluation, known) == []
    [step] = steps(replace(evaluation, looked_at=frozenset({rule})), known)
    assert (step.notice, step.reason) == (NoticeKind.RESOLVED, GOOD_NEWS[rule])


def test_two_limits_on_one_figure_are_one_alert() -> None:
    both = evaluation_with(recall(1), recall(1, severity=BLOCK))
    for evaluation in (both, replace(both, alerts=both.alerts[::-1])):
        [step] = steps(evaluation)
        assert step.alert is not None
        assert step.alert.severity is BLOCK
    assert steps(evaluation_with(recall(1, PASS), recall(1, PASS, BLOCK)), an_open(ON_CLASS_1))[0].alert is None
    [step] = steps(evaluation_with(recall(1), recall(1, PASS, BLOCK)), an_open(ON_CLASS_1))
    assert step.alert is not None


def test_each_class_has_its_own_alert() -> None:
    evaluation = evaluation_with(recall(0), recall(1, PASS), recall(2))
    found_steps = steps(evaluation, an_open(ON_CLASS_1), an_open(replace(ON_CLASS_1, class_idx=2)))
    assert [(s.identity.class_idx, s.notice) for s in found_steps] == [
        (0, NoticeKind.OPENED),
        (2, None),
        (1, NoticeKind.RESOLVED),
    ]
