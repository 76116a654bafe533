"""A stored evaluation, done again on a few of its images."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from case_monitor.core.policy import Severity
from case_monitor.core.records import ContrastSets, Evaluation, ModelVersion, SampleScores
from case_monitor.core.reproduce import Stored, reproduce
from case_monitor.core.reproduction import Reproduction
from case_monitor.core.standing_alerts import artifact_alert, reproduction_alert
from case_monitor.demo.models import PlainCNN
from tests.core.sources import TensorSource, a_split, blobs
from tests.core.test_evaluation import PROTOCOL, run, trained

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
        model,
        Stored(scores=scores, contrast_sets=contrast_sets, target_layer="features"),
        a_split(4, len(source.sample_ids)),
        source,
        protocol=replace(PROTOCOL, batch_size=batch_size),
        images=images,
    )


def changed(scores: SampleScores, key: tuple[str, str], values: np.ndarray) -> SampleScores:
    return replace(scores, values={**scores.values, key: values})


@pytest.mark.parametrize("batch_size", [1, 8, None])
@pytest.mark.parametrize("images", [1, 10, 1000])
def test_the_same_model_and_data_give_the_same_figures(
    model: PlainCNN, source: TensorSource, evaluation: Evaluation, images: int, batch_size: int | None
) -> None:
    found = again(model, source, evaluation.scores, evaluation.contrast_sets, images, batch_size)
    assert found.reproduced
    assert found.n == min(images, len(evaluation.scores.sample_ids))
    assert (found.changed_predictions, found.confidence_difference) == (0, pytest.approx(0, abs=1e-6))
    assert found.score_difference == pytest.approx(0, abs=1e-6)
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
    everything = len(scores.sample_ids)
    drops = scores.values["layercam", "confidence_drop_50"]
    found = again(model, source, changed(scores, ("layercam", "confidence_drop_50"), drops + 0.25), contrasts)
    assert found.worst == "confidence_drop_50 of layercam"
    assert found.score_difference == pytest.approx(0.25)

    agreements = scores.values["gradcam", "agreement"].copy()
    agreements[np.isfinite(agreements).argmax()] = np.nan  # undefined then, defined now
    found = again(model, source, changed(scores, ("gradcam", "agreement"), agreements), contrasts, everything)
    assert found.score_difference == pytest.approx(1 / everything)
    found = again(model, source, replace(scores, confidence=scores.confidence - 0.002), contrasts)
    assert (found.confidence_difference, found.reproduced) == (pytest.approx(0.002, abs=1e-6), False)


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
