"""Rules and metrics in words."""

import pytest

from case_monitor.dashboard.parts.interval_mark import WIDTH, interval_mark
from case_monitor.dashboard.parts.metric_words import metric_words, rule_words
from case_monitor.domain.metric import Metric
from case_monitor.domain.metrics import metrics_under
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol


def test_the_default_policy_in_words() -> None:
    policy = Policy()
    said = [
        rule_words(
            rule.metric,
            rule.limit,
            greater_is_better=rule.greater_is_better,
            method=policy.method_of(rule) or None,
            per_class=rule.per_class,
            baseline=7,
        )
        for rule in policy.rules
    ]
    which = "Share of images on which the map of one class against the other knows which is which"
    shown = "CASE: share of images on which the shown maps know which class they explain"
    assert said == [
        "Gain over always answering the most frequent class above 0.25",
        "Recall of every class above 0.25",
        "Largest change of a logit when images are shown again below 0.01",
        f"{which} above 0.85",
        f"{which} at most 0.1 below version 7's",
        f"{shown} above 0.5",
        "CASE: loss of margin without the top 5% of the pixels, beyond that of random pixels, in SDs above 0.3",
        "CASE: share of images without a usable map below 0.2",
        "Accuracy at most 0.03 below version 7's",
        "Recall of every class at most 0.1 below version 7's",
        f"{shown} at most 0.15 below version 7's",
        "CASE: median agreement below 0.5",
        "Likeness of the places that the model looks at, from image to image below 0.4",
        "Likeness of the places that the model looks at, from image to image of every class below 0.65",
    ]


def test_a_rule_without_a_finite_limit() -> None:
    assert rule_words("accuracy", None, greater_is_better=True) == "Accuracy above an unknown limit"


@pytest.mark.parametrize("metric", metrics_under(Protocol(areas=(0.5, 0.025), fills=("mean", "blur"))).values())
def test_every_metric_has_words(metric: Metric) -> None:
    words = metric_words(metric.name, 3)
    assert "_" not in words
    assert words != metric.name.replace("_", " ") or not metric.of_methods


def mark(observed: float | None, low: float | None, high: float | None, limit: float | None) -> str:
    return str(interval_mark(observed, low, high, limit, greater_is_better=True, label='a "b" <c>'))


def test_a_mark_lies_on_its_scale() -> None:
    # From 0 to 1 with 15% on both sides: 0 is at 0.15 / 1.3 of the width.
    svg = mark(0.5, 0.0, 1.0, 0.25)
    assert f'cx="{WIDTH / 2}"' in svg
    assert f'd="M{round(0.15 / 1.3 * WIDTH, 1)} ' in svg
    assert f'x1="{round(0.4 / 1.3 * WIDTH, 1)}"' in svg
    assert 'aria-label="a &#34;b&#34; &lt;c&gt;"' in svg


@pytest.mark.parametrize("values", [(None, 0, 1, 0), (0, None, 1, 0), (0, 0, None, 0), (0, 0, 1, None)])
def test_an_undefined_mark_is_empty(values: tuple[float | None, ...]) -> None:
    assert mark(*values) == ""
    assert mark(0, 0, 1, float("inf")) == ""


def test_a_mark_without_extent() -> None:
    assert 'cx="75.0"' in mark(0.5, 0.5, 0.5, 0.5)
