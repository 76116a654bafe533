"""The rules of contrast: a healthy model can pass them all, each withholds by itself, and none passes on nothing."""

from dataclasses import replace

import pytest

from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import CONTRAST_THRESHOLDS, PAPER_THRESHOLDS, Policy, Severity, Threshold
from case_monitor.domain.policy_check import asks_how_good, check_policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import Verdict
from case_monitor.judging.other_rules import other_rules_of
from case_monitor.judging.rules import rule_outcomes
from case_monitor.judging.statistics.intervals import standardised_mean_interval, wilson_interval
from case_monitor.judging.verdict import judge
from tests.support.factories import an_evaluation

MODEL, CHAMPION = (ModelVersion(name="digits", version=v, run_id=None, digest=str(v) * 64) for v in (3, 2))
POLICY = Policy(thresholds=CONTRAST_THRESHOLDS)
N = 140
"""Explained images of 150 that are drawn, of a model with an accuracy of 93%."""
NAN = float("nan")


def share(metric: str, hits: float, method: str = "", n: int = N, class_idx: int | None = None) -> MetricSummary:
    low, high = wilson_interval(hits, n, 0.95)
    return MetricSummary(
        metric=metric, method=method, class_idx=class_idx, value=hits / n, n=n, ci_low=low, ci_high=high
    )


def figure(
    metric: str, value: float, reach: float, method: str = "", class_idx: int | None = None, n: int = N
) -> MetricSummary:
    return MetricSummary(
        metric=metric, method=method, class_idx=class_idx, value=value, n=n, ci_low=value - reach, ci_high=value + reach
    )


def fidelity(d: float, n: int = N) -> MetricSummary:
    low, high = standardised_mean_interval(d, n, 0.95)
    return MetricSummary(metric="fidelity_dz", method="case", value=d, n=n, ci_low=low, ci_high=high)


HEALTHY = (
    figure("skill", 0.92, 0.03, n=700),
    share("recall", 32, n=35, class_idx=0),
    share("recall", 34, n=35, class_idx=1),
    figure("logit_difference", 1e-5, 0, n=100),
    share("pair_contrast", 131),  # 94%, as the worst of healthy networks
    figure("pair_contrast_vs_baseline", -0.01, 0.05),
    share("shown_contrast", 100, "case"),
    fidelity(0.6),
    share("agreement_degenerate_rate", 1, "case"),
    figure("accuracy_vs_baseline", 0.0, 0.02, n=700),
    *(figure("recall_vs_baseline", 0.0, 0.05, n=35, class_idx=u) for u in (0, 1)),
    figure("shown_contrast_vs_baseline", 0.0, 0.1, "case"),
    figure("position", 0.2, 0.02),
    *(figure("position", 0.4, 0.05, n=60, class_idx=u) for u in (0, 1)),
)
BLOCKING = [
    *("skill", "recall", "logit_difference", "pair_contrast", "pair_contrast_vs_baseline", "shown_contrast"),
    *("fidelity_dz", "agreement_degenerate_rate", "accuracy_vs_baseline"),
]


def judged(*changed: MetricSummary, baseline: ModelVersion | None = CHAMPION) -> tuple[Verdict, list[tuple[str, str]]]:
    """The verdict on a healthy version's figures but for some, and its alerts: rule and message with advice."""
    new = {(s.metric, s.class_idx): s for s in changed}
    rows = [new.get((s.metric, s.class_idx), s) for s in HEALTHY]
    verdict, alerts = judge(MODEL, rows, POLICY, baseline=baseline, class_names=("cat", "dog"))
    return verdict, [(alert.rule, f"{alert.message} {alert.advice}") for alert in alerts]


def of(metric: str) -> MetricSummary:
    return next(s for s in HEALTHY if s.metric == metric)


def test_they_can_be_asked_by_default_and_ask_how_good_a_model_is() -> None:
    check_policy(POLICY, Protocol())
    assert asks_how_good(POLICY)
    asked = {rule.metric for rule in POLICY.rules if rule.severity is Severity.BLOCK}
    assert asked == set(BLOCKING)


@pytest.mark.parametrize("baseline", [CHAMPION, None])
def test_a_healthy_version_passes_with_150_drawn_images(baseline: ModelVersion | None) -> None:
    verdict, alerts = judged(baseline=baseline)
    assert (verdict.status, alerts) == (Status.PASS, [])
    rules = 10 if baseline else 8
    assert verdict.sentence == (
        "digits/3 passes: its CASE maps know which class they explain and matter to the model "
        f"({rules} of {rules} blocking rules hold)."
    )


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (figure("skill", 0.1, 0.05, n=700), "is too little better than always answering the most frequent class"),
        (share("recall", 1, n=35, class_idx=1), "recall for class 'dog': it gets 3% of those images right"),
        (figure("logit_difference", 0.4, 0, n=100), "a logit changed by up to 0.4 (limit 0.01)"),
        (
            share("pair_contrast", 77),
            "do not know which class they explain: in 55 of 100 images, hiding what the map marks for the predicted "
            "class hurts that class more than hiding what it marks for the runner-up; a map that does not know its "
            "class would reach 50 (interval 47 to 63; limit 85)",
        ),
        (figure("pair_contrast_vs_baseline", -0.3, 0.05), "Pair contrast changed by -0.300 against digits/2"),
        (share("shown_contrast", 42, "case"), "CASE maps do not know which class they explain: in 30 of 100 images"),
        (fidelity(0.0), "CASE maps hardly matter to the model"),
        (share("agreement_degenerate_rate", 60, "case"), "nothing to show for 43% of the images"),
        (figure("accuracy_vs_baseline", -0.1, 0.02, n=700), "Accuracy changed by -0.100 against digits/2"),
    ],
    ids=lambda x: x.metric if isinstance(x, MetricSummary) else "",
)
def test_each_blocking_rule_withholds_by_itself_and_says_why(bad: MetricSummary, words: str) -> None:
    verdict, alerts = judged(bad)
    assert verdict.status is Status.FAIL
    [(rule, said)] = alerts
    assert rule == bad.metric
    assert words in said
    assert words in verdict.sentence


@pytest.mark.parametrize("metric", BLOCKING)
@pytest.mark.parametrize("hurt", ["undefined", "no interval", "gone", "most undefined"])
def test_no_blocking_rule_passes_on_nothing(metric: str, hurt: str) -> None:
    row = of(metric)
    worse = {
        "undefined": replace(row, value=NAN, ci_low=NAN, ci_high=NAN),
        "no interval": replace(row, ci_low=NAN, ci_high=NAN),  # of too many ties
        "gone": replace(row, metric="another"),
        "most undefined": replace(row, n_undefined=row.n + 1, undefined_because="no pixel speaks for the second class"),
    }[hurt]
    rows = [worse if s is row else s for s in HEALTHY]
    verdict, alerts = judge(MODEL, rows, POLICY, baseline=CHAMPION, class_names=("cat", "dog"))
    assert verdict.status is Status.INSUFFICIENT
    assert [(a.rule, a.status) for a in alerts] == [(metric, Status.INSUFFICIENT)]


@pytest.mark.parametrize("metric", [m for m in BLOCKING if m not in {"recall", "logit_difference"}])
def test_fewer_images_than_the_policy_asks_for_are_insufficient(metric: str) -> None:
    assert judged(replace(of(metric), n=99))[0].status is Status.INSUFFICIENT


@pytest.mark.parametrize(
    "bad",
    [
        figure("recall_vs_baseline", -0.4, 0.1, n=35, class_idx=0),
        figure("shown_contrast_vs_baseline", -0.4, 0.1, "case"),
        figure("position", 0.6, 0.02),
        figure("position", 0.9, 0.05, n=60, class_idx=1),
    ],
    ids=lambda row: row.metric,
)
def test_the_others_warn(bad: MetricSummary) -> None:
    verdict, alerts = judged(bad)
    assert verdict.status is Status.PASS
    assert [rule for rule, _ in alerts] == [bad.metric]


def test_a_contrast_that_was_lost_is_looked_for_in_pictures() -> None:
    [(_, said)] = judged(figure("pair_contrast_vs_baseline", -0.3, 0.05))[1]
    assert said.endswith("Compare gallery.png with that of the version in production.")


def test_a_place_that_all_images_of_a_class_share_is_named() -> None:
    [(_, said)] = judged(figure("position", 0.9, 0.05, n=60, class_idx=1))[1]
    assert said.startswith("Class 'dog': The model looks at the same place in all images of one class")
    assert "and one that is shown aligned images" in said


def test_the_advice_is_another_method_where_the_layer_knows_its_classes_else_another_layer() -> None:
    unknown = share("shown_contrast", 42, "case")
    [(_, said)] = judged(unknown)[1]
    assert "name another target layer" in said  # Grad-CAM was not evaluated
    rows = [unknown if s.metric == "shown_contrast" else s for s in HEALTHY] + [share("other", 1, "gradcam")]
    [alert] = judge(MODEL, rows, POLICY, baseline=CHAMPION, class_names=("cat", "dog"))[1]
    assert "Grad-CAM can show it (policy.gate_method: gradcam)" in alert.advice
    rows = [share("pair_contrast", 77) if s.metric == "pair_contrast" else s for s in rows]
    alerts = judge(MODEL, rows, POLICY, baseline=CHAMPION, class_names=("cat", "dog"))[1]
    assert [("name another target layer" in a.advice, "Grad-CAM" in a.advice) for a in alerts] == [(True, False)] * 2


def test_too_few_explained_images_say_how_many_to_draw() -> None:
    """Though it is the model's own figure, it is of the explained images and not of all."""
    counts = (
        share("finite_logits", 700, n=700),
        MetricSummary(metric="explained", method="", value=0.8, n=100, ci_low=0.7, ci_high=0.9),
    )
    rows = [replace(s, n=80) if s.metric == "pair_contrast" else s for s in HEALTHY]
    [alert] = judge(MODEL, [*rows, *counts], POLICY, baseline=None, class_names=("cat", "dog"))[1]
    assert alert.message == (
        "The model: whether its maps know which class they explain cannot be judged: 80 images with a defined score, "
        "at least 100 are needed."
    )
    assert "Raise protocol.sample_size to about 125" in alert.advice


def test_a_class_of_few_images_withholds_nothing_where_others_can_be_judged() -> None:
    """It is in the table of rules, as a warning that nobody can decide."""
    verdict, alerts = judged(share("recall", 1, n=19, class_idx=0))
    assert (verdict.status, alerts) == (Status.PASS, [])
    found = [(r.class_idx, r.threshold.severity, r.status) for r in verdict.results if r.threshold.metric == "recall"]
    assert found == [(1, Severity.BLOCK, Status.PASS), (0, Severity.WARN, Status.INSUFFICIENT)]
    assert judged(share("recall", 1, n=20, class_idx=0))[0].status is not Status.PASS


def test_where_every_class_has_few_images_no_class_is_left_out() -> None:
    few = [share("recall", 18, n=19, class_idx=u) for u in (0, 1)]
    assert judged(*few)[0].status is Status.INSUFFICIENT


def test_a_class_without_a_row_is_never_left_out() -> None:
    rule = Threshold(metric="recall", per_class=True, limit=0.25, greater_is_better=True, every_class=False).rules
    found = rule_outcomes(rule, [share("recall", 34, n=35, class_idx=0)], POLICY, 2, in_production=False)
    assert [(r.class_idx, r.threshold.severity, r.status) for r in found] == [
        (0, Severity.BLOCK, Status.PASS),
        (1, Severity.BLOCK, Status.INSUFFICIENT),
    ]


def test_what_the_other_rules_would_have_said_is_one_line() -> None:
    """Of an evaluation that has no figures of contrast, they cannot be judged; its own rules are not repeated."""
    rows = (
        *HEALTHY,
        figure("agreement_median", 0.9, 0.02, "case"),
        figure("confidence_drop_5_vs_random", 0.3, 0.1, "case"),
    )
    paper = Policy(thresholds=PAPER_THRESHOLDS)
    evaluation = replace(an_evaluation(class_names=("cat", "dog")), summaries=rows, policy=paper)
    assert other_rules_of(evaluation) == "The rules `contrast` would have said of these figures: pass."
    by_contrast = replace(evaluation, policy=POLICY)
    assert other_rules_of(by_contrast) == "The rules `paper` would have said of these figures: fail (agreement_median)."
    unmeasured = replace(evaluation, summaries=rows[:4])
    assert other_rules_of(unmeasured).startswith(
        "The rules `contrast` would have said of these figures: insufficient (not measured: pair_contrast, "
    )


def test_classes_that_nobody_could_judge_are_named() -> None:
    """Of fewer than 20 images: the rule withholds nothing, and says so."""
    rows = [row for row in HEALTHY if not row.metric.startswith("recall")]
    names = tuple(f"class {u}" for u in range(8))
    known, dead = share("recall", 35, class_idx=7, n=35), [share("recall", 0, class_idx=u, n=19) for u in range(7)]
    verdict, _ = judge(MODEL, [*rows, *dead, known], POLICY, baseline=None, class_names=names)
    assert verdict.status is Status.PASS
    assert verdict.notes == (
        "Too few images to judge whether these classes are known at all: class 0, class 1, class 2, class 3, class 4 "
        "and 2 more.",
    )
    everyone = [*rows, *(replace(known, class_idx=u) for u in range(8))]
    assert judge(MODEL, everyone, POLICY, baseline=None, class_names=names)[0].notes == ()


def test_maps_that_look_alike_to_people_warn_though_the_centred_ones_know_their_class() -> None:
    alike = figure("agreement_median", 0.9, 0.02, "case")
    verdict, alerts = judge(MODEL, [*HEALTHY, alike], POLICY, baseline=None, class_names=("cat", "dog"))
    assert verdict.status is Status.PASS
    assert [(alert.rule, alert.severity) for alert in alerts] == [("agreement_median", Severity.WARN)]
    assert "look the same whatever class is asked about" in alerts[0].message


def test_a_method_whose_maps_look_alike_is_not_the_advice() -> None:
    wrong = [row for row in HEALTHY if row.metric != "shown_contrast"] + [figure("shown_contrast", 0.3, 0.05, "case")]
    for agreement, named in ((0.1, True), (0.9, False)):
        rows = [*wrong, figure("agreement_median", agreement, 0.02, "gradcam")]
        _, alerts = judge(MODEL, rows, POLICY, baseline=None, class_names=("cat", "dog"))
        [advice] = [alert.advice for alert in alerts if alert.rule == "shown_contrast"]
        assert ("Grad-CAM can show it" in advice) == named


@pytest.mark.parametrize(("method", "said"), [("case", True), ("gradcam", False)])
def test_case_that_contrasts_with_all_others_is_advised_smaller_sets(method: str, said: bool) -> None:
    policy = Policy(gate_method=method)
    empty = share("agreement_degenerate_rate", N, method)
    _, alerts = judge(MODEL, [empty], policy, baseline=None, class_names=("cat", "dog"))
    [advice] = [alert.advice for alert in alerts if alert.rule == "agreement_degenerate_rate"]
    assert ("protocol.contrast_k" in advice) == said
