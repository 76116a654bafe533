"""Who answers for a version against the verdict, and for how long."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from case_monitor.alerts.override import Override, override_alert, require_answer
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.policy import Severity

UNTIL = datetime(2026, 12, 24, 12, 30, tzinfo=UTC)
MADE = Override(model_name="flowers", version=3, alias="champion", by="Ann", reason="new camera", until=UNTIL)


def test_while_somebody_answers_it_is_a_warning() -> None:
    alert = override_alert(MADE, UNTIL - timedelta(seconds=1))
    assert (alert.rule, alert.severity) == ("override", Severity.WARN)
    assert alert.message == (
        "flowers/3 holds alias champion against the verdict: overridden by Ann until 2026-12-24 12:30 UTC: new camera"
    )


def test_when_the_time_is_over_it_blocks() -> None:
    alert = override_alert(MADE, UNTIL)
    assert (alert.rule, alert.severity) == ("override", Severity.BLOCK)
    assert alert.message == (
        "The override of flowers/3 by Ann ended on 2026-12-24 12:30 UTC; decide anew. Its reason was: new camera"
    )


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"by": " \t"}, r"--by: a text was expected, ' \\t' came"),
        ({"reason": ""}, "--reason: a text was expected, '' came"),
        ({"now": UNTIL}, "--until: a time in the future was expected, 2026-12-24 12:30 UTC came"),
    ],
)
def test_somebody_must_answer(changes: dict[str, object], problem: str) -> None:
    asked = {"by": "Ann", "reason": "new camera", "until": UNTIL, "now": UNTIL - timedelta(seconds=1)}
    require_answer(**asked)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=problem):
        require_answer(**asked | changes)  # type: ignore[arg-type]


def test_it_is_said_in_one_line() -> None:
    assert str(replace(MADE, by="Bo")) == "overridden by Bo until 2026-12-24 12:30 UTC: new camera"
