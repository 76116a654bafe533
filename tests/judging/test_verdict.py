"""The gate: it passes only on evidence, fails closed, and never gets better with less of it."""

import math
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from case_monitor.domain.alert import Alert
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy, Severity, Threshold
from case_monitor.domain.policy_check import check_policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Verdict
from case_monitor.judging.verdict import judge
from tests.support.profiles import examples

MODEL = ModelVersion(name="digits", version=3, run_id=None, digest="d" * 64)
NAN = float("nan")
NAMES = ("cat", "dog")
BASELINE = ModelVersion(name="digits", version=2, run_id=None, digest="b" * 64)
POLICY = Policy(
    thresholds=(
        Threshold(metric="agreement_median", method="gate", limit=0.5, greater_is_better=False),
        Threshold(metric="confidence_drop_5_vs_random", method="gate", limit=0.0, greater_is_better=True),
        Threshold(metric="accuracy", allowed_regression=0.03, greater_is_better=True),
        Threshold(metric="recall", per_class=True, limit=0.5, greater_is_better=True),
        Threshold(metric="accuracy", limit=0.9, greater_is_better=True, severity=Severity.WARN),
    )
)


def figure(
    metric: str, value: float, method: str = "", class_idx: int | None = None, **fields: object
) -> MetricSummary:
    given = {"n": 200, "ci_low": value - 0.05, "ci_high": value + 0.05} | fields
    return MetricSummary(metric=metric, method=method, class_idx=class_idx, value=value, **given)


GOOD = (
    figure("agreement_median", 0.2, "case"),
    figure("confidence_drop_5_vs_random", 0.3, "case"),
    figure("accuracy_vs_baseline", 0.1),
    figure("recall", 0.8, class_idx=0),
    figure("recall", 0.9, class_idx=1),
    figure("accuracy", 0.97),
)


def judged(
    summaries: Sequence[MetricSummary], policy: Policy = POLICY, *, has_baseline: bool = True
) -> tuple[Verdict, tuple[Alert, ...]]:
    return judge(MODEL, summaries, policy, baseline=BASELINE if has_baseline else None, class_names=NAMES)


def status(summaries: Sequence[MetricSummary], policy: Policy = POLICY, *, has_baseline: bool = True) -> Status:
    return judged(summaries, policy, has_baseline=has_baseline)[0].status


def with_figure(i: int, **fields: object) -> list[MetricSummary]:
    rows = list(GOOD)
    rows[i] = replace(rows[i], **fields)
    return rows


def test_good_figures_pass_without_alerts() -> None:
    verdict, alerts = judged(GOOD)
    assert verdict.status is Status.PASS
    assert alerts == ()
    assert len(verdict.results) == 6
    assert verdict.sentence == (
        "digits/3 passes: its CASE maps differ from class to class and matter to the model "
        "(5 of 5 blocking rules hold)."
    )


def test_a_pass_claims_nothing_that_no_rule_has_tested() -> None:
    policy = Policy(thresholds=(Threshold(metric="accuracy", limit=0.9, greater_is_better=True),))
    assert judged(GOOD, policy)[0].sentence == "digits/3 passes: (1 of 1 blocking rules hold)."


@pytest.mark.parametrize(
    ("low", "high", "greater", "expected"),
    [
        (0.51, 0.6, True, Status.PASS),
        (0.5, 0.6, True, Status.INSUFFICIENT),
        (0.4, 0.6, True, Status.INSUFFICIENT),
        (0.4, 0.5, True, Status.FAIL),
        (0.4, 0.4, True, Status.FAIL),
        (0.5, 0.5, True, Status.INSUFFICIENT),
        (0.4, 0.49, False, Status.PASS),
        (0.4, 0.5, False, Status.INSUFFICIENT),
        (0.5, 0.6, False, Status.FAIL),
        (0.6, 0.6, False, Status.FAIL),
        (0.5, 0.5, False, Status.INSUFFICIENT),
    ],
)
def test_a_rule_is_decided_by_its_whole_interval(low: float, high: float, greater: bool, expected: Status) -> None:
    policy = Policy(thresholds=(Threshold(metric="accuracy", limit=0.5, greater_is_better=greater),))
    row = figure("accuracy", (low + high) / 2, ci_low=low, ci_high=high)
    assert status([row], policy) is expected


@examples(100)
@given(
    i=st.integers(0, 4),
    field=st.sampled_from(["value", "ci_low", "ci_high"]),
    value=st.sampled_from([NAN, math.inf, -math.inf]),
)
def test_an_undefined_number_anywhere_never_passes(i: int, field: str, value: float) -> None:
    assert status(with_figure(i, **{field: value})) is Status.INSUFFICIENT


@examples(50)
@given(i=st.integers(0, 2), n=st.integers(0, 99))
def test_too_few_images_never_pass(i: int, n: int) -> None:
    assert status(with_figure(i, n=n)) is Status.INSUFFICIENT


ROWS = st.builds(
    lambda value, low, high, n: {"value": value, "ci_low": value - low, "ci_high": value + high, "n": n},
    value=st.sampled_from([NAN, -0.2, 0.0, 0.2, 0.5, 0.55, 0.9]),
    low=st.sampled_from([0.0, 0.01, 0.1, 0.4]),
    high=st.sampled_from([0.0, 0.01, 0.1, 0.4]),
    n=st.sampled_from([0, 99, 100, 500]),
)


@examples(300)
@given(
    fields=st.lists(ROWS, min_size=6, max_size=6),
    removed=st.sets(st.integers(0, 5), min_size=1),
    has_baseline=st.booleans(),
)
def test_removing_evidence_never_makes_a_version_pass(
    fields: list[dict], removed: set[int], has_baseline: bool
) -> None:
    rows = [replace(row, **f) for row, f in zip(GOOD, fields, strict=True)]
    fewer = [row for i, row in enumerate(rows) if i not in removed]
    before, after = (status(r, has_baseline=has_baseline) for r in (rows, fewer))
    assert after is not Status.PASS or before is Status.PASS


@examples(300)
@given(
    fields=st.lists(ROWS, min_size=6, max_size=6),
    wider=st.lists(st.tuples(*[st.sampled_from([0.0, 0.02, 0.5])] * 2), min_size=6, max_size=6),
    fewer=st.lists(st.sampled_from([0, 1, 400]), min_size=6, max_size=6),
)
def test_a_wider_interval_or_fewer_images_never_make_a_version_pass(
    fields: list[dict], wider: list[tuple[float, float]], fewer: list[int]
) -> None:
    rows = [replace(row, **f) for row, f in zip(GOOD, fields, strict=True)]
    worse = [
        replace(row, ci_low=row.ci_low - low, ci_high=row.ci_high + high, n=max(0, row.n - less))
        for row, (low, high), less in zip(rows, wider, fewer, strict=True)
    ]
    before, after = status(rows), status(worse)
    assert after is not Status.PASS or before is Status.PASS
    assert after is not Status.FAIL or before is Status.FAIL


def test_a_class_without_a_figure_keeps_a_per_class_rule_from_passing() -> None:
    """A class that the model never gets right has no agreement: that must not count as one rule less."""
    assert status([row for row in GOOD if row.class_idx != 1]) is Status.INSUFFICIENT


@pytest.mark.parametrize(("n", "expected"), [(19, Status.INSUFFICIENT), (20, Status.PASS)])
def test_a_class_of_few_images_is_not_judged_whatever_they_say(n: int, expected: Status) -> None:
    """Five equal values have an interval of no width, which would clear any limit."""
    assert status(with_figure(3, n=n, ci_low=0.8, ci_high=0.8)) is expected


def test_one_bad_class_fails_a_per_class_rule_and_is_named() -> None:
    verdict, alerts = judged(with_figure(4, value=0.2, ci_low=0.1, ci_high=0.3))
    assert verdict.status is Status.FAIL
    (alert,) = alerts
    assert alert.class_idx == 1
    assert "'dog'" in alert.message
    assert alert.message in verdict.sentence


def test_an_undecided_class_is_named_too() -> None:
    (alert,) = judged(with_figure(3, value=NAN))[1]
    assert alert.status is Status.INSUFFICIENT
    assert "'cat'" in alert.message


def test_a_failing_rule_outweighs_an_undecided_one() -> None:
    rows = [replace(GOOD[0], value=0.9, ci_low=0.8, ci_high=0.95), replace(GOOD[1], n=3), *GOOD[2:]]
    verdict, alerts = judged(rows)
    assert verdict.status is Status.FAIL
    assert "CASE maps look the same" in verdict.sentence
    assert {a.status for a in alerts} == {Status.FAIL, Status.INSUFFICIENT}


def test_a_warning_raises_an_alert_and_blocks_nothing() -> None:
    verdict, alerts = judged(with_figure(5, value=0.5, ci_low=0.4, ci_high=0.6))
    assert verdict.status is Status.PASS
    assert [(a.rule, a.severity, a.status) for a in alerts] == [("accuracy", Severity.WARN, Status.FAIL)]
    assert judged(with_figure(5, value=NAN))[1] == ()


def test_rules_against_a_baseline_need_one() -> None:
    without = [row for row in GOOD if row.metric != "accuracy_vs_baseline"]
    assert status(without, has_baseline=False) is Status.PASS
    assert status(without, has_baseline=True) is Status.INSUFFICIENT
    only = Policy(thresholds=(POLICY.thresholds[2],))
    assert status(GOOD, only, has_baseline=False) is Status.INSUFFICIENT
    assert status(GOOD, only, has_baseline=True) is Status.PASS


def test_the_gate_method_is_the_one_judged() -> None:
    policy = replace(POLICY, gate_method="gradcam")
    assert status(GOOD, policy) is Status.INSUFFICIENT
    gradcam = [replace(row, method="gradcam") if row.method else row for row in GOOD]
    assert status(gradcam, policy) is Status.PASS
    bad_case = [figure("agreement_median", 0.9, "case"), *gradcam]
    assert status(bad_case, policy) is Status.PASS


def test_the_advice_names_a_method_that_does_tell_classes_apart() -> None:
    rows = [
        replace(GOOD[0], value=0.9, ci_low=0.8, ci_high=0.95),
        figure("agreement_median", 0.1, "layercam"),
        *GOOD[1:],
    ]
    (alert,) = judged(rows)[1]
    assert "the maps of LayerCAM differ" in alert.advice
    (alert,) = judged([rows[0], *GOOD[1:]])[1]
    assert "No method is known whose maps differ more" in alert.advice
    for low, names in ((0.86, True), (0.85, False), (NAN, False)):
        pair = figure("pair_contrast", 0.9, ci_low=low)
        (alert,) = judged([*rows, pair])[1]
        assert ("LayerCAM" in alert.advice) == names, "maps that differ are no better where none knows its class"


def test_the_number_of_images_that_would_decide_scales_with_the_square() -> None:
    """Half-width 0.1 at distance 0.05 from the limit: four times the images, and a tenth in reserve."""
    policy = Policy(thresholds=(Threshold(metric="accuracy", limit=0.5, greater_is_better=True),))
    row = figure("accuracy", 0.55, ci_low=0.45, ci_high=0.65, n=100)
    assert "about 440 images" in judged([row], policy)[0].results[0].reason
    row = figure("accuracy", 0.5, ci_low=0.45, ci_high=0.55, n=100)
    assert "no number of images" in judged([row], policy)[0].results[0].reason


def rule(**fields: object) -> Policy:
    given = {"limit": 0.1, "greater_is_better": not str(fields["metric"]).startswith("agreement_")} | fields
    return Policy(thresholds=(Threshold(**given),))


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (rule(metric="acuracy"), r"thresholds\[0\].metric.*'acuracy' came"),
        (rule(metric="confidence_drop_20", method="case"), "'confidence_drop_20' came"),
        (rule(metric="agreement_median", method="cam"), r"thresholds\[0\].method.*'cam' came"),
        (rule(metric="agreement_median", method="hirescam"), "'hirescam' came"),
        (rule(metric="agreement_median"), r"thresholds\[0\].method.*'' came"),
        (rule(metric="agreement_mean", method="random"), "'random' came"),
        (rule(metric="accuracy", method="case"), "none was expected with accuracy, 'case' came"),
        (rule(metric="accuracy", per_class=True), "'accuracy' came"),
        (rule(metric="agreement_mean", method="case", per_class=True), "'agreement_mean' came"),
        (rule(metric="recall"), "'recall' came"),
        (rule(metric="accuracy_vs_baseline"), "'accuracy_vs_baseline' came"),
        (rule(metric="finite_logits"), "'finite_logits' came"),
        (rule(metric="macro_f1", allowed_regression=0.1), "allowed_regression.*'macro_f1' came"),
        (rule(metric="agreement_median", method="case", per_class=True, allowed_regression=0.1), "'agreement_median'"),
        (rule(metric="confidence_drop_5_vs_case", method="case"), "'case' came"),
        (rule(metric="confidence_drop_5_vs_case", method="gate"), "'gate' came"),
        (rule(metric="accuracy", severity=Severity.WARN), "at least one rule of severity 'block'"),
        (Policy(thresholds=()), "at least one rule of severity 'block'"),
        (Policy(gate_method="hirescam"), "gate_method.*'hirescam' came"),
    ],
)
def test_a_policy_that_could_never_be_judged_is_refused(policy: Policy, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_policy(policy, Protocol())


@pytest.mark.parametrize("methods", [(), ("case", "gradcamm")])
def test_a_protocol_without_known_methods_is_refused(methods: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match=r"protocol.methods"):
        check_policy(Policy(), Protocol(methods=methods))


@pytest.mark.parametrize(
    "policy",
    [
        Policy(),
        rule(metric="recall", per_class=True),
        rule(metric="agreement_median", method="gradcam", per_class=True),
        rule(metric="confidence_drop_50_vs_case", method="gradcam"),
        rule(metric="relative_confidence_drop_5", method="gate"),
        rule(metric="accuracy"),
        rule(metric="balanced_accuracy"),
        rule(metric="contrast_jaccard"),
        rule(metric="baseline_agreement", method="gate"),
        rule(metric="recall", per_class=True, allowed_regression=0.1),
        rule(metric="confidence_drop_50", method="gradcam", limit=None, allowed_regression=0.1),
    ],
)
def test_a_policy_that_can_be_judged_is_accepted(policy: Policy) -> None:
    check_policy(policy, Protocol())


@pytest.mark.parametrize("limits", [{}, {"allowed_regression": -0.1}])
def test_a_threshold_needs_a_limit_and_a_margin_of_the_right_sign(limits: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"limit|allowed_regression"):
        Threshold(metric="accuracy", greater_is_better=True, **limits)


def test_both_limits_make_two_rules() -> None:
    threshold = Threshold(
        metric="agreement_median", method="gate", limit=0.5, allowed_regression=0.1, greater_is_better=False
    )
    assert [(r.metric, r.limit, r.method) for r in threshold.rules] == [
        ("agreement_median", 0.5, "gate"),
        ("agreement_median_vs_baseline", 0.1, "gate"),
    ]
    accuracy = Threshold(metric="accuracy", allowed_regression=0.03, greater_is_better=True)
    assert [(r.metric, r.limit) for r in accuracy.rules] == [("accuracy_vs_baseline", -0.03)]


def test_four_blocking_rules_share_the_level() -> None:
    """p = 0.03 fails by itself; beside three others, Holm makes it 0.12."""
    breach = figure("accuracy", 0.4, ci_low=0.31, ci_high=0.49, n=500)
    alone = Policy(thresholds=(Threshold(metric="accuracy", limit=0.5, greater_is_better=True),))
    (result,) = judged([breach], alone)[0].results
    assert result.status is Status.FAIL
    assert result.p_value == pytest.approx(2 * norm.sf(1.959964 * 0.1 / 0.09))
    with_three_more = replace(alone, thresholds=(*alone.thresholds, *POLICY.thresholds[:3]))
    verdict, _ = judged([breach, *GOOD[:5]], with_three_more)
    assert verdict.results[0].p_adjusted == pytest.approx(4 * result.p_value)
    assert verdict.results[0].status is Status.INSUFFICIENT
    assert "but not surely (adjusted p = " in verdict.results[0].reason
    assert verdict.status is Status.INSUFFICIENT


def test_classes_of_a_warning_rule_share_a_false_discovery_rate() -> None:
    """Two classes with p of 0.04 and 0.03: Benjamini and Hochberg leave 0.04 for both, Holm would not."""
    policy = Policy(
        thresholds=(
            Threshold(metric="accuracy", limit=0.5, greater_is_better=True),
            Threshold(metric="recall", per_class=True, limit=0.5, greater_is_better=True, severity=Severity.WARN),
        )
    )
    widths = [0.1 * 1.959964 / norm.isf(p / 2) for p in (0.04, 0.03)]
    rows = [figure("recall", 0.4, class_idx=u, ci_low=0.4 - w, ci_high=0.4 + w) for u, w in enumerate(widths)]
    verdict, alerts = judged([GOOD[5], *rows], policy)
    assert [r.p_adjusted for r in verdict.results[1:]] == pytest.approx([0.04, 0.04])
    assert [(a.class_idx, a.status) for a in alerts] == [(0, Status.FAIL), (1, Status.FAIL)]
    assert verdict.status is Status.PASS


def test_logits_that_are_not_finite_never_pass_whatever_the_policy() -> None:
    broken = figure("finite_logits", 0.99, n=200)
    verdict, alerts = judged([*GOOD, broken])
    assert verdict.status is Status.INSUFFICIENT
    assert [a.rule for a in alerts] == ["finite_logits"]
    assert "the logits of 2 of 200 images are NaN or infinite" in verdict.sentence
    assert judged([*GOOD, replace(broken, value=1.0)])[0].status is Status.PASS


def test_an_alert_says_what_the_baseline_was() -> None:
    rows = with_figure(2, value=-0.1, ci_low=-0.15, ci_high=-0.05)
    (alert,) = judged(rows)[1]
    assert alert.message == (
        "Accuracy changed by -0.100 against digits/2, in production, on the same images (interval -0.150 to -0.050; at "
        "most 0.030 less is allowed)."
    )
    rows = [*with_figure(0, value=0.9, ci_low=0.8, ci_high=0.95), figure("agreement_median_vs_baseline", 0.4, "case")]
    (alert,) = judged(rows)[1]
    assert alert.message.endswith(
        "Against digits/2, in production, agreement median changed by +0.400 on the same images."
    )


def test_too_few_images_say_how_many_are_needed() -> None:
    rows = with_figure(0, n=60, n_undefined=40, undefined_because="empty or constant map")
    verdict, (alert,) = judged(rows)
    assert verdict.results[0].n_needed == POLICY.min_samples
    assert verdict.results[0].reason == (
        "60 images with a defined score (40 undefined: empty or constant map), at least 100 are needed"
    )
    assert "About 100 images with a defined score" in alert.advice


def test_a_policy_that_does_not_ask_how_good_a_first_version_is_is_told_so() -> None:
    """It blocks nothing; with a champion to compare with, or a rule that asks, there is nothing to tell."""
    relative = Policy(thresholds=(POLICY.thresholds[0], replace(POLICY.thresholds[2], limit=None)))
    verdict, (alert,) = judged(GOOD, relative, has_baseline=False)
    assert verdict.status is Status.PASS
    assert (alert.rule, alert.severity) == ("absolute_accuracy", Severity.WARN)
    assert alert.message.startswith("Nothing asks how good digits/3 is: no version is in production")
    assert "metric: skill" in alert.advice
    assert judged(GOOD, relative)[1] == ()
    assert judged(GOOD, POLICY, has_baseline=False)[1] == ()  # asks for recall
    in_production = judge(MODEL, GOOD, relative, baseline=None, class_names=NAMES, in_production=True)
    assert in_production[1] == ()
