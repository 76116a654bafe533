"""Advice about images: as many as are missing, in the unit of the setting that brings them."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from case_monitor.domain.alert import Alert
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy, Severity, Threshold
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.verdict import judge

MODEL = ModelVersion(name="digits", version=3, run_id=None, digest="d" * 64)
MEDIAN = Threshold(metric="agreement_median", method="gate", limit=0.5, greater_is_better=False)
ACCURACY = Threshold(metric="accuracy", limit=0.9, greater_is_better=True)
SKILL = Threshold(metric="skill", limit=0.0, greater_is_better=True)
RECALL = Threshold(metric="recall", limit=0.5, greater_is_better=True, per_class=True)


def images(split: int, drawn: int, correct: int) -> tuple[MetricSummary, MetricSummary]:
    return (
        MetricSummary(metric="finite_logits", method="", value=1.0, n=split, ci_low=0.9, ci_high=1.0),
        MetricSummary(metric="explained", method="", value=correct / drawn, n=drawn, ci_low=0.0, ci_high=1.0),
    )


def figure(metric: str, value: float, n: int, method: str = "", **fields: object) -> MetricSummary:
    given = {"ci_low": value - 0.05, "ci_high": value + 0.05, "class_idx": None} | fields
    return MetricSummary(metric=metric, method=method, value=value, n=n, **given)  # type: ignore[arg-type]


def alert(rule: Threshold, rows: Sequence[MetricSummary]) -> Alert:
    policy = Policy(thresholds=(rule,))
    (found,) = (
        a
        for a in judge(MODEL, rows, policy, baseline=None, class_names=("cat", "dog"))[1]
        if a.severity is Severity.BLOCK
    )
    return found


def median(n: int, **fields: object) -> MetricSummary:
    return figure("agreement_median", 0.2, n, "case", **fields)


def test_few_correct_images_are_said_as_such_and_not_that_more_should_be_drawn() -> None:
    found = alert(MEDIAN, [median(37), *images(700, 300, 37)])
    assert found.message == (
        "CASE: agreement median cannot be judged: 37 images with a defined score, at least 100 are needed; only 37 of "
        "300 drawn images are classified correctly."
    )
    assert found.advice == (
        "Before you draw more images, check the order of the classes, the preprocessing and model.eval()."
    )
    assert "none of 300 drawn images are classified correctly" in alert(MEDIAN, [*images(700, 300, 0)]).message


@pytest.mark.parametrize(
    ("counts", "n", "advice"),
    [
        # 100 images with a score are needed, and 72 of 100 drawn have one: 139 of 100/72 each.
        ((700, 100, 75), 72, "Raise protocol.sample_size to about 139: 72 of the 100 drawn images gave a score."),
        ((139, 100, 75), 72, "Raise protocol.sample_size to about 139: 72 of the 100 drawn images gave a score."),
        (
            (138, 100, 75),
            72,
            "Use a larger validation split, of about 139 images where this one has 138, and a protocol.sample_size as "
            "high: 72 of the 100 drawn images gave a score.",
        ),
        (
            (80, 80, 60),
            60,
            "Use a larger validation split, of about 134 images where this one has 80, and a protocol.sample_size as "
            "high: 60 of the 80 drawn images gave a score.",
        ),
    ],
)
def test_images_are_counted_as_the_setting_counts_them(counts: tuple[int, int, int], n: int, advice: str) -> None:
    assert alert(MEDIAN, [median(n), *images(*counts)]).advice == advice


def test_an_interval_across_the_limit_asks_for_drawn_images_however_few_are_correct() -> None:
    """Half-width 0.1 at distance 0.05 from the limit: 1.1 x 4 x 200 = 880 with a score, which 40% of the drawn have."""
    row = median(200, ci_low=0.45, ci_high=0.65)
    found = alert(MEDIAN, [replace(row, value=0.55), *images(5000, 500, 200)])
    assert "about 880 images with a defined score would decide" in found.message
    assert found.advice == "Raise protocol.sample_size to about 2200: 200 of the 500 drawn images gave a score."


def test_of_what_is_stored_without_these_counts_a_factor_is_known() -> None:
    assert alert(MEDIAN, [median(50)]).advice == (
        "About 100 images with a defined score are needed: raise protocol.sample_size by a factor of 2.0, or use a "
        "larger validation split."
    )


def test_what_is_about_the_model_itself_needs_a_larger_split() -> None:
    across = figure("accuracy", 0.85, 400, ci_low=0.75, ci_high=0.95)
    found = alert(ACCURACY, [across, *images(500, 100, 90)])
    # 1.1 x 4 x 400 = 1760 with a prediction, which 400 of 500 have: 2200.
    assert found.advice == "Use a validation split with about 2200 images; this one has 500."
    assert "would decide" in found.message


def test_a_rule_per_class_needs_images_of_the_class() -> None:
    rows = [figure("recall", 0.9, 50, class_idx=0), figure("recall", 0.9, 7, class_idx=1)]
    found = alert(RECALL, [*rows, *images(500, 100, 90)])
    assert found.class_idx == 1
    assert found.advice == "Use a validation split with about 20 images of class 'dog'; this one has 7."
    per_class = replace(MEDIAN, per_class=True)
    rows = [median(50, class_idx=0), median(8, class_idx=1)]
    assert alert(per_class, [*rows, *images(500, 100, 90)]).advice == (
        "Raise protocol.sample_size to about 250: 8 of the 100 drawn images gave a score as images of class 'dog'."
    )
    assert "No image of class 'dog' has a score" in alert(per_class, [rows[0], *images(500, 100, 90)]).advice


def test_where_scores_are_undefined_more_images_are_no_answer() -> None:
    row = median(90, n_undefined=210, undefined_because="empty or constant map")
    found = alert(MEDIAN, [row, *images(700, 310, 300)])
    assert "210 of 300 images (70.0%) have no score, empty or constant map; at most 50% may have none" in found.message
    assert found.advice.startswith("Find out why images have no score: name another target layer")


def test_no_skill_is_said_in_words() -> None:
    found = alert(SKILL, [figure("skill", -0.2, 500)])
    assert found.status is Status.FAIL
    assert found.message == (
        "The model is no better than always answering the most frequent class: its skill is -0.200, interval -0.250 to "
        "-0.150, where 0 is that answer and 1 is always right (limit 0)."
    )
    assert "the order of the classes, the preprocessing and model.eval()" in found.advice
    one_class = figure("skill", float("nan"), 0, n_undefined=300, undefined_because="all images are of one class")
    found = alert(SKILL, [one_class, *images(300, 100, 90)])
    assert found.status is Status.INSUFFICIENT
    assert found.message.startswith(
        "The model: whether it is better than always answering the most frequent class cannot be judged: "
    )
    assert found.advice == "Use a validation split with images of all classes."
