"""No text of a policy switches a rule off: what is accepted can both pass and fail, all else is refused."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from case_monitor.domain import methods
from case_monitor.domain.errors import ConfigError
from case_monitor.domain.metric import Metric
from case_monitor.domain.metrics import metrics_under
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy, Rule, Severity, Threshold
from case_monitor.domain.policy_check import asks_how_good, check_policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.verdict import judge
from case_monitor.saliency import METHODS
from tests.support.profiles import examples

PROTOCOL = Protocol()
KNOWN = metrics_under(PROTOCOL)
MODEL, CHAMPION = (ModelVersion(name="digits", version=v, run_id=None, digest=str(v) * 64) for v in (3, 2))
NEAR = 1e-3  # of the width of a range: no figure of a model lies closer to its end


def threshold_of(metric: Metric, **fields: object) -> Threshold:
    method = ("case" if metric.of_shown else "gradcam") if metric.of_methods else None
    given = {
        "metric": metric.name,
        "greater_is_better": metric.greater_is_better,
        "method": method,
        "per_class": not metric.overall,
    }
    return Threshold(**given | fields)  # type: ignore[arg-type]


def policy_of(*thresholds: Threshold, **fields: object) -> Policy:
    return Policy(**{"gate_method": "case", "thresholds": thresholds} | fields)  # type: ignore[arg-type]


def inside(metric: Metric) -> st.SearchStrategy[float]:
    return st.floats(metric.low + NEAR * metric.width, metric.high - NEAR * metric.width)


ANY_METRIC = st.sampled_from(list(KNOWN.values()))
COMPARED = st.sampled_from([m for m in KNOWN.values() if m.compared or m.compared_per_class])
IN_RANGE = ANY_METRIC.flatmap(lambda m: st.builds(threshold_of, st.just(m), limit=inside(m)))
MARGINS = COMPARED.flatmap(
    lambda m: st.builds(threshold_of, st.just(m), allowed_regression=st.floats(0, m.width * (1 - NEAR)))
)


def row(rule: Rule, value: float, reach: float) -> list[MetricSummary]:
    return [
        MetricSummary(
            metric=rule.metric,
            method=rule.method or "",
            class_idx=class_idx,
            value=value,
            n=10_000,
            ci_low=value - reach,
            ci_high=value + reach,
        )
        for class_idx in ((0, 1) if rule.per_class else (None,))
    ]


def judged(rows: list[MetricSummary], policy: Policy) -> Status:
    return judge(MODEL, rows, policy, baseline=CHAMPION, class_names=("cat", "dog"))[0].status


def ends(metric: Metric, rule: Rule) -> tuple[float, float]:
    """The lowest and the highest value that the figure of a rule can have."""
    return (metric.low, metric.high) if rule.metric == metric.name else (-metric.width, metric.width)


@examples(300)
@given(threshold=st.one_of(IN_RANGE, MARGINS))
def test_what_is_accepted_can_both_pass_and_fail(threshold: Threshold) -> None:
    policy = policy_of(threshold)
    check_policy(policy, PROTOCOL)
    (rule,) = policy.rules
    outcomes = []
    for end in ends(KNOWN[threshold.metric], rule):
        value = (end + rule.limit) / 2  # half way to the end of the range, with an interval that stays on that side
        outcomes.append(judged(row(rule, value, abs(end - rule.limit) / 4), policy))
    assert outcomes == ([Status.FAIL, Status.PASS] if rule.greater_is_better else [Status.PASS, Status.FAIL])


OUTSIDE = ANY_METRIC.flatmap(
    lambda m: st.builds(
        threshold_of,
        st.just(m),
        limit=st.one_of(
            st.sampled_from([m.low, m.high, math.nan, math.inf, -math.inf, 50.0, -5.0]),
            st.floats(max_value=m.low),
            st.floats(min_value=m.high),
        ),
    )
)
TOO_WIDE = COMPARED.flatmap(
    lambda m: st.builds(threshold_of, st.just(m), allowed_regression=st.floats(min_value=m.width))
)
REVERSED = st.one_of(IN_RANGE, MARGINS).map(lambda t: replace(t, greater_is_better=not t.greater_is_better))


@examples(300)
@given(
    wrong=st.one_of(OUTSIDE, TOO_WIDE, REVERSED),
    severity=st.sampled_from(Severity),
    others=st.lists(IN_RANGE, max_size=2),
)
def test_what_could_not_is_refused_whatever_stands_beside_it(
    wrong: Threshold, severity: Severity, others: list[Threshold]
) -> None:
    blocking = threshold_of(KNOWN["accuracy"], limit=0.5)
    policy = policy_of(blocking, *others, replace(wrong, severity=severity))
    with pytest.raises(ConfigError, match=r"^policy\.thresholds\[\d\]\.(limit|allowed_regression|greater_is_better): "):
        check_policy(policy, PROTOCOL)


POLICIES = st.builds(
    policy_of,
    st.just(threshold_of(KNOWN["accuracy"], limit=0.9, allowed_regression=0.03)),
    st.just(threshold_of(KNOWN["agreement_median"], limit=0.5)),
    st.just(threshold_of(KNOWN["recall"], limit=0.5, severity=Severity.WARN)),
    min_samples=st.integers(1, 10**6),
    min_class_samples=st.integers(1, 10**6),
    max_undefined=st.floats(0, 1, exclude_min=True, exclude_max=True),
    false_block_budget=st.floats(0, 1, exclude_min=True, exclude_max=True),
    in_control_run_length=st.integers(2, 10**9),
)
FIGURES = st.floats(-1, 1)


@examples(300)
@given(policy=POLICIES, values=st.lists(FIGURES, min_size=4, max_size=4), more=st.lists(IN_RANGE, max_size=2))
def test_no_other_text_turns_a_failing_version_into_a_passing_one(
    policy: Policy, values: list[float], more: list[Threshold]
) -> None:
    """Counts, budgets, and rules that are added: none of them is an answer to a rule that fails."""
    usual = policy_of(*policy.thresholds)
    rows = [s for rule, value in zip(usual.rules, values, strict=True) for s in row(rule, value, 0.01)]
    changed = replace(policy, thresholds=(*policy.thresholds, *more))
    try:
        check_policy(changed, PROTOCOL)
    except ConfigError:
        return
    if judged(rows, usual) is Status.FAIL:
        assert judged(rows, changed) is not Status.PASS


@pytest.mark.parametrize(
    ("metric", "limits", "said"),
    [
        (
            "accuracy",
            {"limit": -5},
            "limit: a number above 0 and below 1, the range of accuracy, was expected, -5 came",
        ),
        (
            "agreement_median",
            {"limit": 50},
            "above 0 and below 1, the range of agreement_median, was expected, 50 came",
        ),
        (
            "confidence_drop_5",
            {"limit": -1},
            "above -1 and below 1, the range of confidence_drop_5, was expected, -1 came",
        ),
        (
            "accuracy",
            {"allowed_regression": 3},
            "allowed_regression: less than 1 was expected, since accuracy, from 0 to 1, cannot get worse by more, 3",
        ),
        (
            "agreement_median",
            {"limit": 0.5, "greater_is_better": True},
            "greater_is_better: false was expected with agreement_median, true came",
        ),
    ],
)
def test_an_error_names_field_metric_range_and_what_came(metric: str, limits: dict, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_policy(policy_of(threshold_of(KNOWN[metric], **limits)), PROTOCOL)
    assert str(caught.value).startswith("policy.thresholds[0].")
    assert said in str(caught.value)


@pytest.mark.parametrize("limit", [0.0, -0.9, 0.25])
def test_skill_may_be_asked_to_be_better_than_the_most_frequent_class(limit: float) -> None:
    check_policy(policy_of(threshold_of(KNOWN["skill"], limit=limit)), PROTOCOL)


def test_what_the_default_rules_need_of_the_protocol_is_said() -> None:
    said = r"^protocol\.areas: 0\.05 among them was expected, since fidelity_dz .* came$"
    with pytest.raises(ConfigError, match=said):
        check_policy(Policy(), Protocol(areas=(0.5, 0.2)))
    check_policy(Policy(), Protocol(areas=(0.2, 0.05)))


def test_one_figure_has_one_limit_of_a_severity() -> None:
    strict, lax = (threshold_of(KNOWN["accuracy"], limit=limit) for limit in (0.9, 0.1))
    check_policy(policy_of(strict, replace(lax, severity=Severity.WARN)), PROTOCOL)
    with pytest.raises(ConfigError, match="one limit of severity 'block' on accuracy was expected, two came"):
        check_policy(policy_of(strict, lax), PROTOCOL)
    gate, case = (threshold_of(KNOWN["agreement_median"], limit=0.5, method=method) for method in ("gate", "case"))
    with pytest.raises(ConfigError, match="on agreement_median of case was expected"):
        check_policy(policy_of(gate, case), PROTOCOL)


@pytest.mark.parametrize(("level", "least"), [(0.5, 2), (0.95, 6), (0.99, 8)])
@pytest.mark.parametrize("field", ["min_samples", "min_class_samples"])
def test_so_few_images_that_not_even_all_of_them_decide_are_refused(level: float, least: int, field: str) -> None:
    """A sign test of n images that all agree has p = 2^(1 - n)."""
    assert 0.5 ** (least - 1) <= 1 - level < 0.5 ** (least - 2)
    policy = policy_of(threshold_of(KNOWN["accuracy"], limit=0.5), confidence_level=level)
    check_policy(replace(policy, **{field: least}), PROTOCOL)
    with pytest.raises(ConfigError, match=rf"policy\.{field}: {least} or more was expected.*{least - 1} came"):
        check_policy(replace(policy, **{field: least - 1}), PROTOCOL)


@pytest.mark.parametrize("field", ["confidence_level", "max_undefined"])
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0, math.nan, math.inf])
def test_a_level_or_share_outside_its_range_is_refused(field: str, value: float) -> None:
    with pytest.raises(ValueError, match=field):
        Policy(**{field: value})  # type: ignore[arg-type]


def test_an_interval_that_misses_more_often_than_not_is_none() -> None:
    Policy(confidence_level=0.5)
    with pytest.raises(ValueError, match=r"confidence_level: a number from 0\.5"):
        Policy(confidence_level=0.49)


def test_whether_a_policy_asks_how_good_a_version_is() -> None:
    def asks(*thresholds: Threshold) -> bool:
        return asks_how_good(policy_of(*thresholds))

    accuracy = KNOWN["accuracy"]
    assert asks_how_good(Policy())
    assert asks(threshold_of(KNOWN["recall"], limit=0.1))
    assert not asks(threshold_of(accuracy, allowed_regression=0.1))
    assert not asks(threshold_of(accuracy, limit=0.5, severity=Severity.WARN))
    assert not asks(threshold_of(KNOWN["agreement_median"], limit=0.5))


def test_the_methods_known_without_torch_are_those_with_a_formula() -> None:
    assert methods.METHODS.keys() == METHODS.keys()
