"""What notices say, and what names cannot make of them."""

from dataclasses import replace
from datetime import timedelta

import pytest

from case_monitor.alerts.life import AlertIdentity, NoticeKind, Scope, Step, next_steps
from case_monitor.alerts.notice import MAX_BODY, Notice, combined, notice_text, plain
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Severity
from case_monitor.domain.status import Status
from tests.alerts.test_life import an_open
from tests.support.alerting import FIRST_NIGHT, evaluation_with, found, recall

HOSTILE = "<!channel> @everyone {0} %s {title} \x1b[31m\u202e\n# *x* `y` ||z|| [click](http://evil) \U000e0041"


def a_notice(number: int, kind: NoticeKind = NoticeKind.OPENED, body: str = "body") -> Notice:
    return Notice(
        id=number,
        kind=kind,
        severity=Severity.WARN,
        model_name="digits",
        title=f"title {number}",
        body=body,
        delivered_to=(),
    )


def kind_of(step: Step) -> NoticeKind:
    assert step.notice is not None
    return step.notice


def test_an_opening_says_everything() -> None:
    baseline = ModelVersion(name="digits", version=2, run_id=None, digest="2")
    evaluation = evaluation_with(found(), version=3, baseline=baseline)
    [step] = next_steps([], evaluation, FIRST_NIGHT, {}, Scope.PRODUCTION)
    title, body = notice_text(kind_of(step), step, evaluation, Scope.CANDIDATE, 7)
    assert title == "digits/3 (candidate): alert: agreement median, CASE"
    assert body.splitlines() == [
        "agreement_median: 0.900 [0.880, 0.920] against 0.5.",
        "Observed: 0.900 (interval 0.880 to 0.920, n = 200); limit: 0.5; baseline: version 2; block, fail.",
        "What to do: Look at the gallery.",
        "To quiet it: case-monitor alerts ack 7 --by NAME, or mute (see --help).",
    ]


def test_an_end_says_why_and_how_long_it_was() -> None:
    evaluation = evaluation_with(found(status=Status.PASS, observed=0.3))
    [step] = next_steps([an_open()], evaluation, FIRST_NIGHT, {}, Scope.PRODUCTION)
    title, body = notice_text(kind_of(step), step, evaluation, Scope.PRODUCTION, 7)
    assert title == "digits/1 (production): resolved: agreement median, CASE"
    assert body.splitlines() == [
        "Resolved: 0.300 [0.280, 0.320] against 0.5.",
        "Open since 2026-09-30 02:00 UTC; observed once.",
        "It said: it was bad",
    ]


def test_a_reminder_says_since_when() -> None:
    evaluation = evaluation_with(found(observed=float("nan")))
    [step] = next_steps([an_open(muted_until=FIRST_NIGHT)], evaluation, FIRST_NIGHT, {}, Scope.PRODUCTION)
    title, body = notice_text(kind_of(step), step, evaluation, Scope.PRODUCTION, 7)
    assert "alert still open after its mute" in title
    assert "Open since 2026-09-30 02:00 UTC; observed 2 times." in body
    assert "Observed: undefined; limit: 0.5; baseline: none; block, fail." in body


def test_names_are_text() -> None:
    evaluation = evaluation_with(recall(1), name=HOSTILE, class_names=("a", HOSTILE, "c", "d"))
    [step] = next_steps([], evaluation, FIRST_NIGHT, {}, Scope.PRODUCTION)
    title, body = notice_text(kind_of(step), step, evaluation, Scope.PRODUCTION, 7)
    assert len(body.splitlines()) == 4
    for text in (title, *body.splitlines()):
        assert all(c.isprintable() for c in text)
        assert not set(text) & set("<>@`*|~")
        assert "](" not in text
    assert "{0} %s {title}" in title


@pytest.mark.parametrize("text", ["", "\0", "x" * 10_000, "\ud800", "\u2028a\u2029"])
def test_plain_is_one_short_line(text: str) -> None:
    assert len(plain(text)) <= 500
    assert len(plain(text).splitlines()) <= 1
    plain(text).encode()


def test_one_notice_is_itself() -> None:
    assert combined([a_notice(1)]) == ("title 1", "body")


def test_several_notices_are_one_message_of_bounded_length() -> None:
    notices = [a_notice(i, body="x" * 200) for i in range(30)] + [a_notice(30, NoticeKind.RESOLVED)]
    title, body = combined(notices)
    assert title == "digits: 31 notices (30 alert, 1 resolved)"
    assert body.startswith("title 0\nxxx")
    assert len(body) <= MAX_BODY
    shown = body.count("title ")
    assert shown > 5
    assert body.endswith(f"And {31 - shown} more: case-monitor alerts")


def test_the_first_notice_is_always_shown() -> None:
    _, body = combined([a_notice(1, body="x" * 5000), a_notice(2)])
    assert body.startswith("title 1")
    assert body.endswith("And 1 more: case-monitor alerts")


def test_a_class_that_is_gone_keeps_its_name() -> None:
    evaluation = evaluation_with(recall(0, Status.PASS), class_names=("a", "b"))
    before = replace(an_open(AlertIdentity(rule="recall", method="", class_idx=3)), class_name="d")
    [step] = next_steps([before], evaluation, FIRST_NIGHT + timedelta(days=1), {}, Scope.PRODUCTION)
    title, body = notice_text(kind_of(step), step, evaluation, Scope.PRODUCTION, 7)
    assert title.endswith("recall, class 'd'")
    assert body.startswith("Resolved: the model no longer has this class.")
