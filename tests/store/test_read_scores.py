"""Scores per image, read back as they were."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
from numpy.testing import assert_array_equal
from sqlalchemy import Engine

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import Policy
from case_monitor.domain.scores import SampleScores
from case_monitor.store.read.scores import find_scores
from case_monitor.store.write import save_evaluation
from tests.support.factories import an_evaluation


def stored_scores(engine: Engine, evaluation: Evaluation) -> SampleScores | None:
    digests = (evaluation.model.digest, evaluation.split.digest, evaluation.provenance.protocol_digest)
    return find_scores(engine, *digests).get(evaluation.provenance.target_layer)


def assert_same(first: SampleScores | None, second: SampleScores) -> None:
    assert first is not None
    assert first.sample_ids == second.sample_ids
    for name in ("target", "top2", "confidence"):
        assert_array_equal(getattr(first, name), getattr(second, name))
    assert first.values.keys() == second.values.keys()
    for key, values in second.values.items():
        assert_array_equal(first.values[key], values, err_msg=str(key))


def test_scores_come_back_to_the_last_bit_with_nan_for_undefined(engine: Engine) -> None:
    evaluation = an_evaluation()
    assert np.isnan(evaluation.scores.values["gradcam", "agreement"]).any()
    save_evaluation(engine, evaluation)
    assert_same(stored_scores(engine, evaluation), evaluation.scores)


def test_another_policy_or_baseline_does_not_matter_and_the_last_counts(engine: Engine) -> None:
    first, second = an_evaluation(seed=0), an_evaluation(seed=1)
    other = replace(second, provenance=replace(second.provenance, policy_digest="c" * 64), policy=Policy(min_samples=7))
    save_evaluation(engine, first)
    save_evaluation(engine, other)
    assert_same(stored_scores(engine, first), other.scores)


def test_scores_of_each_layer_are_kept_apart(engine: Engine) -> None:
    first, second = an_evaluation(seed=0), an_evaluation(seed=1)
    second = replace(second, provenance=replace(second.provenance, target_layer="another", policy_digest="c" * 64))
    save_evaluation(engine, first)
    save_evaluation(engine, second)
    assert_same(stored_scores(engine, first), first.scores)
    assert_same(stored_scores(engine, second), second.scores)


def test_what_is_too_old_does_not_count(engine: Engine) -> None:
    evaluation = an_evaluation()
    before = datetime.now(UTC)
    save_evaluation(engine, evaluation)
    digests = (evaluation.model.digest, evaluation.split.digest, evaluation.provenance.protocol_digest)
    assert find_scores(engine, *digests, since=before)
    assert find_scores(engine, *digests, since=datetime.now(UTC)) == {}


def test_another_model_split_or_protocol_has_none(engine: Engine) -> None:
    evaluation = an_evaluation()
    save_evaluation(engine, evaluation)
    digests = (evaluation.model.digest, evaluation.split.digest, evaluation.provenance.protocol_digest)
    for i in range(3):
        assert find_scores(engine, *("f" * 64 if j == i else digest for j, digest in enumerate(digests))) == {}


def test_an_evaluation_that_explained_no_image_has_none(engine: Engine) -> None:
    evaluation = an_evaluation()
    nothing = SampleScores(
        sample_ids=(),
        target=np.empty(0, dtype=np.int64),
        top2=np.empty(0, dtype=np.int64),
        confidence=np.empty(0),
        values={key: np.empty(0) for key in evaluation.scores.values},
    )
    save_evaluation(engine, replace(evaluation, scores=nothing))
    assert stored_scores(engine, evaluation) is None
