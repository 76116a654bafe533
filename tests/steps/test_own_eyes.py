"""Each version is measured through its own eyes: how it was logged changes nothing about a comparison."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor, nn

from case_monitor.domain.errors import DataError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.split import Split
from tests.steps.test_trial import POLICY, PROTOCOL, loaded, trained
from tests.support.profiles import examples
from tests.support.sources import TensorSource, a_split, blobs
from tests.support.trial import LoadedVersion, evaluate

NUM_CLASSES = 4


class Logged(nn.Module):
    """The same model, logged with another normalisation and another, correctly named, order of classes."""

    def __init__(self, model: nn.Module, scale: float, order: Sequence[int]) -> None:
        super().__init__()
        self.model, self.scale = model, scale
        self.register_buffer("order", torch.tensor(list(order)))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images / self.scale)
        return logits[:, self.order]


class Scaled(TensorSource):
    """The images as that model wants them."""

    def __init__(self, source: TensorSource, scale: float, order: Sequence[int]) -> None:
        places = {u: i for i, u in enumerate(order)}
        super().__init__(source.images * scale, [places[u] for u in source.target.tolist()])

    def batches(self, indices: Sequence[int], batch_size: int) -> Iterator[Tensor]:
        yield from super().batches(indices, batch_size)


def split_in(order: Sequence[int], size: int) -> Split:
    split = a_split(NUM_CLASSES, size)
    return replace(split, class_names=tuple(split.class_names[u] for u in order), digest="6" * 64)


def logged(n: int, model: nn.Module, source: TensorSource, scale: float, order: Sequence[int]) -> LoadedVersion:
    size = len(source.sample_ids)
    return loaded(n, Logged(model, scale, order), split_in(order, size), Scaled(source, scale, order))


def compared(candidate: LoadedVersion, baseline: LoadedVersion) -> Evaluation:
    # One class in each contrast set: of several, the mean would be summed in another order, too.
    protocol = replace(PROTOCOL, methods=("case", "gradcam"), contrast_k=1)
    return evaluate(candidate, baseline, policy=POLICY, protocol=protocol).evaluation


@pytest.fixture(scope="module")
def source() -> TensorSource:
    return blobs(64, (0, 1, 2, 3), noise=0.9)


@pytest.fixture(scope="module")
def models() -> tuple[nn.Module, nn.Module]:
    return trained(NUM_CLASSES), trained(NUM_CLASSES, seed=1, steps=25)


def differences(evaluation: Evaluation) -> dict[tuple[str, str, str | None], list[float]]:
    """All figures against the baseline, classes by name."""
    names = (*evaluation.class_names, None)
    return {
        (s.metric, s.method, names[-1 if s.class_idx is None else s.class_idx]): [s.value, s.n, s.p_value]
        for s in evaluation.summaries
        if s.metric.endswith("_vs_baseline") or s.metric in {"contrast_jaccard", "baseline_agreement"}
    }


scales = st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0])  # powers of two: not even the last bit changes
orders = st.permutations(range(NUM_CLASSES))


@examples(6)
@given(scale=scales, order=orders, base_scale=scales, base_order=orders)
def test_how_two_versions_were_logged_changes_no_difference(
    models: Any, source: TensorSource, scale: float, order: list[int], base_scale: float, base_order: list[int]
) -> None:
    new, old = models
    plain = range(NUM_CLASSES)
    expected = compared(logged(2, new, source, 1.0, plain), logged(1, old, source, 1.0, plain))
    found = compared(logged(2, new, source, scale, order), logged(1, old, source, base_scale, base_order))
    first, second = differences(expected), differences(found)
    assert first.keys() == second.keys()
    for key, values in first.items():
        assert_allclose(values, second[key], rtol=0, atol=1e-9, err_msg=str(key))  # softmax sums in another order
    assert found.verdict.status is expected.verdict.status


def test_the_difference_is_that_of_the_two_accuracies(models: Any, source: TensorSource) -> None:
    """Through the candidate's eyes, the baseline would see other images and be right by chance."""
    new, old = models
    order = [2, 0, 3, 1]
    alone = evaluate(logged(1, old, source, 1.0, range(NUM_CLASSES)), None, policy=POLICY, protocol=PROTOCOL).evaluation
    found = compared(logged(2, new, source, 8.0, order), logged(1, old, source, 1.0, range(NUM_CLASSES)))
    difference = found.summary("accuracy").value - alone.summary("accuracy").value
    assert found.summary("accuracy_vs_baseline").value == pytest.approx(difference, abs=1e-12)


def test_a_version_against_itself_logged_otherwise_differs_by_nothing(models: Any, source: TensorSource) -> None:
    found = compared(logged(2, models[0], source, 0.5, [3, 2, 1, 0]), logged(1, models[0], source, 4.0, [1, 0, 3, 2]))
    for (metric, _, _), (value, n, _) in differences(found).items():
        expected = 1 if metric in {"contrast_jaccard", "baseline_agreement"} else 0
        assert value == pytest.approx(expected, abs=1e-12) or not n, metric
    assert found.summary("baseline_agreement", "case").n > 20


def test_the_baselines_predictions_are_told_in_the_candidates_classes(models: Any, source: TensorSource) -> None:
    order = [3, 1, 0, 2]
    candidate = logged(2, models[0], source, 1.0, range(NUM_CLASSES))
    findings = evaluate(candidate, logged(1, models[0], source, 1.0, order), policy=POLICY, protocol=PROTOCOL)
    assert_array_equal(findings.baseline_preds.preds, findings.evaluation.preds.preds)
    assert_array_equal(findings.baseline_preds.target, source.target)


def test_other_parts_of_an_image_are_not_laid_over_each_other(models: Any, source: TensorSource) -> None:
    plain = logged(2, models[0], source, 1.0, range(NUM_CLASSES))
    cropped = logged(1, models[0], source, 1.0, range(NUM_CLASSES))
    cropped = replace(cropped, split=replace(cropped.split, field_of_view="central square of 8 pixels"))
    drift = compared(plain, cropped).summary("baseline_agreement", "case")
    assert np.isnan(drift.value)
    assert (drift.n, drift.undefined_because) == (0, "the two versions see different parts of the image")


def test_images_of_another_size_are_compared_at_the_candidates(models: Any, source: TensorSource) -> None:
    """Twice as large, each pixel fourfold: the maps of a model that halves them are the same maps."""

    class Halving(nn.Module):
        def __init__(self, model: nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.model(images[..., ::2, ::2])
            return logits

    large = TensorSource(source.images.repeat_interleave(2, -1).repeat_interleave(2, -2), source.target)
    split = a_split(NUM_CLASSES, 64)
    halving = loaded(1, Halving(models[0]), replace(split, digest="7"), large)
    found = compared(loaded(2, models[0], split, source), halving)
    assert found.summary("baseline_agreement", "case").value == 1
    assert found.summary("accuracy_vs_baseline").value == 0


@pytest.mark.parametrize(
    ("theirs", "words"),
    [
        (("class 0", "class 1", "class 2", "other"), "only blobs/2 has ['class 3'], only blobs/1 has ['other']"),
        (("class 0", "class 1", "class 2"), "only blobs/2 has ['class 3'], only blobs/1 has []"),
    ],
)
def test_other_classes_cannot_be_compared(
    models: Any, source: TensorSource, theirs: tuple[str, ...], words: str
) -> None:
    split = a_split(NUM_CLASSES, 64)
    other = loaded(1, models[0], replace(split, class_names=theirs), source)
    with pytest.raises(DataError) as raised:
        compared(loaded(2, models[0], split, source), other)
    assert words in str(raised.value)


def test_classes_of_one_name_cannot_be_told_apart_in_another_order(models: Any, source: TensorSource) -> None:
    split = replace(a_split(NUM_CLASSES, 64), class_names=("a", "a", "b", "c"))
    other = replace(split, class_names=("a", "b", "a", "c"))
    with pytest.raises(DataError, match="a name that stands twice"):
        compared(loaded(2, models[0], split, source), loaded(1, models[0], other, source))
    assert compared(loaded(2, models[0], split, source), loaded(1, models[0], split, source))


def test_labels_without_names_mean_other_classes_to_each(models: Any, source: TensorSource) -> None:
    """The data set has numbers alone, which each version reads in its own order."""
    split = a_split(NUM_CLASSES, 64)
    other = replace(split, class_names=(*split.class_names[1:], split.class_names[0]))
    with pytest.raises(DataError, match="give the data set class names"):
        compared(loaded(2, models[0], split, source), loaded(1, models[0], other, source))
