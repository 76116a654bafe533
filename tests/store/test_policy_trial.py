"""Stored evaluations judged by another policy."""

from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from case_monitor.domain.digests import digest, evaluation_key
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import CONTRAST_THRESHOLDS, PAPER_THRESHOLDS, Policy, Threshold
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.store.policy_trial import try_on_stored
from case_monitor.store.read import find_evaluation
from case_monitor.store.write import save_evaluation
from tests.support.commands import run_cli
from tests.support.factories import an_evaluation


def measured(version: int, accuracy: float, **changes: object) -> Evaluation:
    """Withheld under the policy of its day; accuracy has an interval of 0.02 to either side, on 80 images."""
    evaluation = an_evaluation(version=version, status=Status.FAIL)
    row = MetricSummary(
        metric="accuracy", method="", value=accuracy, n=80, ci_low=accuracy - 0.02, ci_high=accuracy + 0.02
    )
    others = tuple(s for s in evaluation.summaries if s.metric != "accuracy")
    return replace(evaluation, summaries=(row, *others), **changes)


def asking_for(accuracy: float, **fields: object) -> Policy:
    rule = Threshold(metric="accuracy", limit=accuracy, greater_is_better=True)
    return Policy(**{"min_samples": 50, "thresholds": (rule,)} | fields)  # type: ignore[arg-type]


def test_verdicts_that_would_change_are_told_from_those_that_would_not(engine: Engine) -> None:
    for version, accuracy in ((1, 0.7), (2, 0.8), (3, 0.9)):
        save_evaluation(engine, measured(version, accuracy))
    trials = list(try_on_stored(engine, "digits", asking_for(0.81), last=20))
    assert [(t.version, t.status_then, t.status, t.changed) for t in trials] == [
        ("digits/3", Status.FAIL, Status.PASS, True),
        ("digits/2", Status.FAIL, Status.INSUFFICIENT, True),
        ("digits/1", Status.FAIL, Status.FAIL, False),
    ]
    assert trials[0].reason == "every blocking rule passes"
    assert "accuracy: 0.700 [0.680, 0.720] is beyond the limit 0.81" in trials[2].reason
    assert [t.version for t in try_on_stored(engine, "digits", asking_for(0.81), last=1)] == ["digits/3"]
    assert list(try_on_stored(engine, "flowers", asking_for(0.81), last=20)) == []


def test_what_was_not_measured_then_is_insufficient(engine: Engine) -> None:
    save_evaluation(engine, measured(1, 0.9))
    rule = Threshold(metric="agreement_median", method="hirescam", limit=0.5, greater_is_better=False)
    (trial,) = try_on_stored(engine, "digits", Policy(thresholds=(rule,)), last=5)
    assert trial.status is Status.INSUFFICIENT
    assert trial.reason == "agreement_median: 0 images with a defined score, at least 100 are needed"


def test_figures_that_were_not_measured_then_never_pass_and_say_the_remedy(engine: Engine) -> None:
    """Of what was stored before there was contrast, its rules cannot be judged."""
    save_evaluation(engine, measured(1, 0.99, baseline=an_evaluation(version=2).model))
    (trial,) = try_on_stored(engine, "digits", Policy(thresholds=CONTRAST_THRESHOLDS), last=5)
    assert trial.status is Status.INSUFFICIENT
    unmeasured = (
        "skill, recall, logit_difference, pair_contrast, pair_contrast_vs_baseline, shown_contrast, fidelity_dz"
    )
    assert f"{unmeasured}: not measured then; evaluate again" in trial.reason


def test_a_pass_under_other_rules_is_no_stored_evidence(engine: Engine) -> None:
    passed = an_evaluation(status=Status.PASS)
    passed = replace(passed, provenance=replace(passed.provenance, policy_digest=digest(passed.policy)))
    save_evaluation(engine, passed)
    keys = []
    for policy in (Policy(thresholds=PAPER_THRESHOLDS), Policy()):
        *first, _, by_policy, baseline = evaluation_key(passed.model, passed.split, None, policy, Protocol())
        keys.append((*first, passed.provenance.protocol_digest, by_policy, baseline))
    assert [find_evaluation(engine, key) is not None for key in keys] == [True, False]


def test_a_rule_against_the_baseline_is_judged_where_there_was_one(engine: Engine) -> None:
    baseline = an_evaluation(version=1).model
    lost = MetricSummary(metric="accuracy_vs_baseline", method="", value=-0.1, n=80, ci_low=-0.15, ci_high=-0.05)
    alone, compared = measured(2, 0.9), measured(3, 0.9, baseline=baseline)
    save_evaluation(engine, alone)
    save_evaluation(engine, replace(compared, summaries=(*compared.summaries[:-1], lost)))
    regression = Threshold(metric="accuracy", limit=0.5, allowed_regression=0.03, greater_is_better=True)
    trials = list(try_on_stored(engine, "digits", Policy(min_samples=50, thresholds=(regression,)), last=5))
    assert [(t.version, t.status) for t in trials] == [("digits/3", Status.FAIL), ("digits/2", Status.PASS)]


def test_another_confidence_level_cannot_be_had_from_stored_intervals(engine: Engine) -> None:
    save_evaluation(engine, measured(1, 0.9))
    (trial,) = try_on_stored(engine, "digits", asking_for(0.5, confidence_level=0.99), last=5)
    assert trial.status is None
    assert not trial.changed
    assert trial.reason == "stored intervals are at 0.95, the policy asks for 0.99: evaluate again"


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("metric: accuracy, allowed_regression: 0.1, greater_is_better: true", True),
        ("metric: accuracy, limit: 0.5, greater_is_better: true", False),
    ],
)
def test_a_policy_that_does_not_ask_how_good_a_version_is_is_shown_with_a_warning(
    tmp_path: Path, rule: str, told: bool
) -> None:
    (tmp_path / "case-monitor.yaml").write_text(f"policy: {{thresholds: [{{{rule}}}]}}\n")
    shown = run_cli("policy", "show", cwd=tmp_path)
    assert shown.code == 0, shown.err
    assert ("one that has learned nothing may pass" in " ".join(shown.out.split())) is told
