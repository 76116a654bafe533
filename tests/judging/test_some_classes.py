"""A split of some of the model's classes (`split.classes: subset`): what the rules make of those without an image."""

from dataclasses import replace

import numpy as np
import pytest

from case_monitor.domain.policy import Policy, Severity
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.status import Status
from case_monitor.judging.confusion import ConfusionCounter, class_metrics
from case_monitor.judging.figures.of_one_version import model_summaries
from case_monitor.judging.rules import rule_outcomes


@pytest.mark.parametrize("every_class", [False, True])
def test_a_class_without_an_image_is_judged_by_no_guess(every_class: bool) -> None:
    """The default rule leaves it out, and says so; a rule for every class is closed by it."""
    target = np.repeat([0, 2, 4], 60)
    logits = 5 * np.eye(5, dtype=np.float32)[target]
    counter = ConfusionCounter(5)
    counter.add(Predictions(sample_ids=tuple(map(str, range(180))), logits=logits, target=target))
    policy, confmat = Policy(), counter.matrix()
    summaries = model_summaries(
        confmat, class_metrics(confmat, np.zeros(5), policy.confidence_level), 0, policy, seed=0
    )
    [rule] = [rule for rule in policy.rules if rule.metric == "recall" and rule.severity is Severity.BLOCK]
    results = rule_outcomes([replace(rule, every_class=every_class)], summaries, policy, 5, in_production=False)
    found = {r.class_idx: (r.status, r.threshold.severity) for r in results}
    absent = Severity.BLOCK if every_class else Severity.WARN
    assert found == {
        0: (Status.PASS, Severity.BLOCK),
        1: (Status.INSUFFICIENT, absent),
        2: (Status.PASS, Severity.BLOCK),
        3: (Status.INSUFFICIENT, absent),
        4: (Status.PASS, Severity.BLOCK),
    }
