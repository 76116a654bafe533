"""A stored evaluation, done again on a few of its images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from case_monitor.alerts.standing import artifact_alert, reproduction_alert
from case_monitor.demo.models import PlainCNN
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Severity
from case_monitor.domain.reproduction import Reproduction
from case_monitor.domain.scores import MARGINS, SampleScores
from case_monitor.judging.reproduce import Stored
from tests.steps.test_trial import PROTOCOL, loaded, run, trained
from tests.support.rounding import FLOAT_TOLERANCE, Admissible, admissible
from tests.support.sources import TensorSource, a_split, blobs
from tests.support.trial import reproduce

VERSION = ModelVersion(name="blobs", version=2, run_id=None, digest="d" * 64)


@pytest.fixture(scope="module")
def model() -> PlainCNN:
    return trained(4)


@pytest.fixture(scope="module")
def source() -> TensorSource:
    return blobs(64, (0, 1, 2, 3))


@pytest.fixture(scope="module")
def evaluation(model: PlainCNN, source: TensorSource) -> Evaluation:
    return run(model, source).evaluation


def again(
    model: torch.nn.Module,
    source: TensorSource,
    scores: SampleScores,
    contrast_sets: ContrastSets,
    images: int = 10,
    batch_size: int | None = 8,
) -> Reproduction:
    return reproduce(
        loaded(1, model, a_split(4, len(source.sample_ids)), source),
        Stored(scores=scores, contrast_sets=contrast_sets, target_layer="features"),
        protocol=replace(PROTOCOL, batch_size=batch_size),
        images=images,
    )


def changed(scores: SampleScores, key: tuple[str, str], values: np.ndarray) -> SampleScores:
    return replace(scores, values={**scores.values, key: values})


@pytest.fixture(scope="module")
def may_be(model: PlainCNN, source: TensorSource, evaluation: Evaluation) -> Admissible:
    return admissible(model, source, evaluation, batch_sizes=(1, 8, 64))


@pytest.mark.parametrize("batch_size", [1, 8, None])
@pytest.mark.parametrize("images", [1, 10, 1000])
def test_the_same_model_and_data_give_the_same_figures(
    model: PlainCNN,
    source: TensorSource,
    evaluation: Evaluation,
    may_be: Admissible,
    images: int,
    batch_size: int | None,
) -> None:
    found = again(model, source, evaluation.scores, evaluation.contrast_sets, images, batch_size)
    assert found.reproduced
    assert found.n == min(images, len(evaluation.scores.sample_ids))
    assert (found.changed_predictions, found.confidence_difference) == (0, pytest.approx(0, abs=FLOAT_TOLERANCE))
    pixels = max(may_be.spread(key).sum() for key in may_be.scores) / found.n  # those that tie with the cut
    assert found.score_difference <= FLOAT_TOLERANCE + pixels
    assert reproduction_alert(VERSION, found) is None


def test_other_weights_are_seen(source: TensorSource, evaluation: Evaluation) -> None:
    found = again(trained(4, seed=1), source, evaluation.scores, evaluation.contrast_sets)
    assert (found.reproduced, found.changed_predictions) == (False, 0)  # as good, and looking elsewhere
    assert found.score_difference > 0.1
    found = again(trained(4, steps=0), source, evaluation.scores, evaluation.contrast_sets)
    assert found.changed_predictions > 0
    alert = reproduction_alert(VERSION, found)
    assert alert is not None
    assert alert.severity is Severity.BLOCK
    assert f"of 10 images {found.changed_predictions} are predicted as another class" in alert.message


def test_a_model_that_became_nan_does_not_come_out(
    model: PlainCNN, source: TensorSource, evaluation: Evaluation
) -> None:
    broken = trained(4, steps=0)
    with torch.no_grad():
        broken.head.bias.fill_(float("nan"))
    found = again(broken, source, evaluation.scores, evaluation.contrast_sets)
    assert (found.n, found.changed_predictions, found.reproduced) == (10, 10, False)
    assert np.isnan(found.score_difference)
    alert = reproduction_alert(VERSION, found)
    assert alert is not None
    assert "nan" not in alert.message


def test_differences_by_hand(model: PlainCNN, source: TensorSource, evaluation: Evaluation) -> None:
    scores, contrasts = evaluation.scores, evaluation.contrast_sets
    drops = scores.values["layercam", "confidence_drop_50"]
    found = again(model, source, changed(scores, ("layercam", "confidence_drop_50"), drops + 0.25), contrasts)
    assert found.worst == "confidence_drop_50 of layercam"
    assert found.score_difference == pytest.approx(0.25)

    found = again(model, source, replace(scores, confidence=scores.confidence - 0.002), contrasts)
    assert (found.confidence_difference, found.reproduced) == (pytest.approx(0.002, abs=1e-6), False)


@pytest.mark.parametrize("images", [1, 2, 30])
def test_one_image_may_differ_by_anything_and_a_second_one_may_not(
    model: PlainCNN, source: TensorSource, evaluation: Evaluation, images: int
) -> None:
    """A pixel that ties with the cut can be the only one of a map, or the one that the model looks at."""
    key = "layercam", "agreement"
    some = again(model, source, evaluation.scores, evaluation.contrast_sets, images)
    places = np.unique(np.linspace(0, len(evaluation.scores.sample_ids) - 1, images).round().astype(int))
    assert np.isfinite(evaluation.scores.values[key][places]).all()
    for seen in range(min(images, 2) + 1):
        values = evaluation.scores.values[key].copy()
        values[places[:seen]] = np.nan  # undefined then, defined now: 1 apart
        found = again(model, source, changed(evaluation.scores, key, values), evaluation.contrast_sets, images)
        expected = 1 / (images - 1) if seen == 2 else some.score_difference
        assert found.score_difference == pytest.approx(expected, abs=2e-4)
        assert found.reproduced == (seen < 2)


def test_the_stored_second_class_is_explained_whichever_of_two_level_ones_is_second_now(
    model: PlainCNN, source: TensorSource, evaluation: Evaluation
) -> None:
    scores = evaluation.scores
    thirds = np.array([min({0, 1, 2, 3} - {u, v}) for u, v in zip(scores.target, scores.top2, strict=True)])
    found = again(model, source, replace(scores, top2=thirds), evaluation.contrast_sets)
    assert not found.reproduced
    assert found.worst.partition(" of ")[0] in {"agreement", *MARGINS}, "drops are of the first class alone"


@pytest.mark.parametrize(
    ("method", "metric"), [("", "pair_margin"), ("case", "shown_margin"), ("case", "fidelity_margin")]
)
def test_what_is_in_logits_counts_as_a_part_of_its_own_size(
    model: PlainCNN, source: TensorSource, evaluation: Evaluation, method: str, metric: str
) -> None:
    values = evaluation.scores.values[method, metric]
    assert np.isfinite(values).sum() > 20
    for shift in (0.0, 0.001, 0.1):
        by = shift * np.sqrt(np.nanmean(values**2))
        found = again(
            model, source, changed(evaluation.scores, (method, metric), values + by), evaluation.contrast_sets
        )
        assert found.reproduced == (shift < 0.01)
    assert found.worst == (f"{metric} of {method}" if method else metric)
    assert 0.03 < found.score_difference < 0.3


def test_the_stored_contrast_sets_are_used_not_those_of_the_few_images(
    model: PlainCNN, source: TensorSource, evaluation: Evaluation
) -> None:
    assert any(evaluation.contrast_sets.members)
    none = replace(evaluation.contrast_sets, members=((),) * 4)
    found = again(model, source, evaluation.scores, none)
    assert not found.reproduced
    assert found.worst.endswith("of case")


def test_only_another_digest_is_a_changed_artifact() -> None:
    assert artifact_alert(VERSION, None) is None
    assert artifact_alert(VERSION, VERSION.digest) is None
    alert = artifact_alert(VERSION, "0" * 64)
    assert alert is not None
    assert "began with 000000000000 then and begins with dddddddddddd now" in alert.message
