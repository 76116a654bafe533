"""Which images are explained, for which classes, and what is kept for people to look at."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from torch import Tensor

from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import Sample, second_best
from case_monitor.domain.scores import SampleScores
from case_monitor.measuring.conditions import Conditions
from case_monitor.measuring.explain import Explainer, join_explained
from case_monitor.measuring.explained import Explained
from case_monitor.measuring.fidelity import Drops
from case_monitor.measuring.gallery import GALLERY_SIZE
from case_monitor.measuring.held_model import HeldModel
from case_monitor.measuring.measured_model import At, Evidence, Explanation, Progress, ToExplain
from case_monitor.measuring.workers.shards import cut
from case_monitor.saliency import saliency_maps
from tests.support.sources import BlobNet, ChannelBlobNet, blobs, predictions
from tests.support.whole import explain, predict, sample_indices


def test_the_sample_is_drawn_without_looking_at_the_model() -> None:
    target = np.zeros(200)
    all_right = predictions(np.tile([1.0, 0.0], (200, 1)), target)
    logits = np.tile([1.0, 0.0], (200, 1))
    logits[::3] = [0.0, 1.0]
    some_wrong = predictions(logits, target)
    drawn = sample_indices(all_right, 50, seed=1)
    assert len(set(drawn.tolist())) == 50
    assert sample_indices(some_wrong, 50, seed=1).tolist() == [i for i in drawn.tolist() if i % 3]
    assert drawn.tolist() == sorted(drawn.tolist())
    assert sample_indices(all_right, 50, seed=2).tolist() != drawn.tolist()
    assert len(sample_indices(all_right, 999, seed=1)) == 200


def test_the_second_class_is_never_the_first_even_where_logits_are_equal() -> None:
    logits = np.float32([[1, 1, 0], [0, 1, 1], [5, 5, 5], [3, 1, 2], [-1, -9, -2]])
    top1 = logits.argmax(1)
    assert second_best(logits, top1).tolist() == [1, 2, 1, 2, 2]
    assert logits[3, 0] == 3, "the predictions must not be changed"


def explained(batch_size: int = 5) -> tuple:
    source, model = blobs(30, (0, 1, 2, 3)), BlobNet(4)
    preds = predict(model, source, num_classes=4, batch_size=8)
    protocol = Protocol(methods=("case", "gradcam"), target_layer="relu", sample_size=20)
    contrast = {0: {1: 1.0}, 1: {}, 2: {3: 1.0}}
    return model, source, preds, *explain(model, "relu", contrast, source, preds, protocol, batch_size=batch_size)


def test_scores_and_gallery_describe_the_same_images() -> None:
    model, source, preds, scores, gallery = explained()
    position = {name: i for i, name in enumerate(source.sample_ids)}
    indices = [position[name] for name in scores.sample_ids]
    assert scores.target.tolist() == preds.target[indices].tolist() == preds.preds[indices].tolist()
    probabilities = np.exp(preds.logits[indices]) / np.exp(preds.logits[indices]).sum(1, keepdims=True)
    assert_allclose(scores.confidence, probabilities.max(1), rtol=1e-5)
    assert scores.methods == ("case", "gradcam", "random")
    assert len(gallery.by_class.sample_ids) == GALLERY_SIZE
    assert set(gallery.by_class.target.tolist()) == {0, 1, 2, 3}
    assert set(gallery.sample_ids) == set(scores.sample_ids)  # fewer than there is place for
    assert len(gallery.sample_ids) == len(scores.sample_ids) == GALLERY_SIZE + gallery.worst
    for g, name in enumerate(gallery.sample_ids):
        i = position[name]
        assert gallery.target[g] == preds.target[i]
        assert gallery.top2[g] == scores.top2[scores.sample_ids.index(name)]
        image = source.images[i : i + 1]
        assert (gallery.images[g] == source.to_display(image)[0]).all()
        targets = np.array([[gallery.target[g], gallery.top2[g]]])
        expected = saliency_maps(
            model, image, source.images.new_tensor(targets).long(), target_layer="relu", methods=("gradcam",)
        )
        assert expected["gradcam"].max() > 0
        assert_allclose(gallery.maps["gradcam"][g], expected["gradcam"][0], atol=1e-6)


def test_evidence_in_different_places_does_not_agree_and_matters() -> None:
    """Sums over disjoint columns: the truth is no agreement, and a drop that random pixels do not reach."""
    *_, scores, _ = explained()
    assert np.median(scores.values["gradcam", "confidence_drop_50"]) > 0.05
    drop, control = (scores.values["gradcam", f"{kind}_drop_5"] for kind in ("confidence", "random"))
    assert drop.mean() > control.mean() + 0.02


@dataclass(frozen=True, kw_only=True)
class _LeavesOut(HeldModel):
    """Gives no number where it lost confidence, and says that nothing was amiss."""

    def explain(self, first: Tensor, batches: Iterator[ToExplain], at: At, progress: Progress) -> Iterator[Explanation]:
        for explanation in super().explain(first, batches, at, progress):
            drops = explanation.drops
            values, margins = (
                {key: np.where(drop > 0, np.nan, drop) for key, drop in of.items()}
                for of in (drops.values, drops.margins)
            )
            broken = np.zeros_like(drops.broken)
            yield replace(explanation, drops=Drops(values=values, margins=margins, broken=broken))


@dataclass(frozen=True, kw_only=True)
class _LeavesOutMargins(HeldModel):
    """The same with its margins of one kind alone."""

    of: str

    def explain(self, first: Tensor, batches: Iterator[ToExplain], at: At, progress: Progress) -> Iterator[Explanation]:
        for explanation in super().explain(first, batches, at, progress):
            for (_, metric), margin in explanation.drops.margins.items():
                margin[margin > 0] = np.nan if metric == self.of else margin[margin > 0]
            yield explanation


def _scores(kind: Callable[..., HeldModel]) -> SampleScores:
    source, model = blobs(30, (0, 1, 2, 3)), ChannelBlobNet(4)
    protocol = Protocol(methods=("case", "gradcam"), target_layer="relu", sample_size=20)
    conditions = Conditions(source=source, num_classes=4, protocol=protocol, device="cpu")
    preds = predict(model, source, num_classes=4, batch_size=8)
    drawn = np.arange(20)
    sample = Sample.of(drawn, predictions(preds.logits[drawn], preds.target[drawn]))
    held = kind(model=model, protocol=protocol, device="cpu")
    explainer = Explainer(Explained(model=held, layer="relu", contrast={}), conditions, 5, "case")
    parts = explainer.explain(sample, cut(len(sample.indices), 100, 5), lambda _: None)
    return join_explained(parts, sample, protocol, "case")[0]


def _broken_passes(kind: Callable[..., HeldModel]) -> list[int]:
    found = _scores(kind).broken_passes
    assert found is not None
    return found.tolist()


def test_a_number_that_is_missing_without_a_reason_is_a_broken_pass() -> None:
    honest = _scores(HeldModel)
    lost = np.zeros(len(honest.sample_ids), dtype=bool)
    for (_, metric), drop in honest.values.items():
        lost |= (drop > 0) & ("drop" in metric or "margin" in metric)
    assert lost.any()
    assert _broken_passes(HeldModel) == [0] * len(lost)
    assert _broken_passes(_LeavesOut) == lost.astype(int).tolist()


@pytest.mark.parametrize(
    ("method", "metric"), [("case", "fidelity_margin"), ("", "pair_margin"), ("case", "shown_margin")]
)
def test_so_is_a_missing_margin(method: str, metric: str) -> None:
    honest = _scores(HeldModel).values[method, metric]
    lost = honest > 0
    assert lost.any()
    assert _broken_passes(functools.partial(_LeavesOutMargins, of=metric)) == lost.astype(int).tolist()


@dataclass(frozen=True, kw_only=True)
class _DrawsEverywhere(HeldModel):
    """The maps of a model that points at all pixels alike: nothing is taken away, and nothing was run."""

    def explain(self, first: Tensor, batches: Iterator[ToExplain], at: At, progress: Progress) -> Iterator[Explanation]:
        for explanation in super().explain(first, batches, at, progress):
            maps = {method: torch.full_like(m, 2.0) for method, m in explanation.maps.items()}
            drops, evidence = explanation.drops, explanation.evidence
            values, margins = (
                {key: np.full_like(drop, np.nan) for key, drop in of.items()} for of in (drops.values, drops.margins)
            )
            everywhere = Evidence(
                pair=torch.full_like(evidence.pair, 2.0),
                shown=torch.full_like(evidence.shown, 2.0),
                place=torch.full_like(evidence.place, 2.0),
            )
            nothing = Drops(values=values, margins=margins, broken=drops.broken)
            yield Explanation(maps=maps, evidence=everywhere, drops=nothing, diagnosed=explanation.diagnosed)


def test_a_number_that_is_missing_for_a_reason_is_none() -> None:
    assert set(_broken_passes(_DrawsEverywhere)) == {0}
