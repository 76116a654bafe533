"""Where the judged layer comes from: the author's choice never helps a version past the gate."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from case_monitor.domain.errors import TargetLayerError
from case_monitor.domain.evaluation import Evaluation, LayerSource
from case_monitor.domain.policy import Policy, Threshold
from case_monitor.domain.status import Status
from case_monitor.domain.verdict import Verdict
from case_monitor.judging.layers import looks, worse_of
from tests.steps.test_trial import POLICY, PROTOCOL, loaded, trained
from tests.support.profiles import examples
from tests.support.sources import TensorSource, a_split, blobs
from tests.support.trial import evaluate

AGREEMENT = Threshold(metric="agreement_median", method="gate", limit=0.5, greater_is_better=False)


class OneMoreLayer(nn.Module):
    """The same model with one more layer, which changes nothing."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.features, self.pool, self.head = model.features, model.pool, model.head
        self.late = nn.Conv2d(8, 8, 1, bias=False)
        nn.init.eye_(self.late.weight[:, :, 0, 0])

    def forward(self, images: Tensor) -> Tensor:
        late = self.late(self.features(images))
        logits: Tensor = self.head(self.pool(late).flatten(1))
        return logits


@pytest.fixture(scope="module")
def source() -> TensorSource:
    return blobs(64, (0, 1, 2, 3))


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return trained(4)


def judged(model: nn.Module, source: TensorSource, declared: str | None, **changes: Any) -> Evaluation:
    candidate = loaded(2, model, a_split(4, 64), source, declared_layer=declared)
    baseline = changes.pop("baseline", None)
    policy = changes.pop("policy", POLICY)
    protocol = replace(PROTOCOL, methods=("case", "gradcam"), **changes)
    return evaluate(candidate, baseline, policy=policy, protocol=protocol).evaluation


@examples(6)
@given(data=st.data())
def test_no_declared_layer_turns_a_withheld_version_into_a_pass(model: Any, source: TensorSource, data: Any) -> None:
    names = [n for n, m in model.features.named_children() if isinstance(m, nn.Conv2d | nn.ReLU)]
    declared = data.draw(st.sampled_from([f"features.{name}" for name in names]))
    limit = data.draw(st.sampled_from([0.02, 0.05, 0.1, 0.2, 0.5]))
    policy = Policy(min_samples=20, gate_method="gradcam", thresholds=(replace(AGREEMENT, limit=limit),))
    undeclared = judged(model, source, None, policy=policy).verdict.status
    found = judged(model, source, declared, policy=policy)
    pinned = judged(model, source, None, policy=policy, target_layer=declared).verdict.status
    worst = max((undeclared, pinned), key=[Status.PASS, Status.INSUFFICIENT, Status.FAIL].index)
    assert found.verdict.status is worst


def about_layers(found: Evaluation) -> tuple[str, ...]:
    """All notes but that this network makes no errors, of which its contrast sets would be."""
    few = "0 errors are too few to tell what CASE should contrast a class with."
    return tuple(note for note in found.verdict.notes if not note.endswith(few))


def test_the_verdict_says_where_the_layer_comes_from(model: nn.Module, source: TensorSource) -> None:
    found = judged(model, source, None)
    layer = found.provenance.target_layer
    assert found.provenance.layer_source is LayerSource.AUTO
    assert found.verdict.notes[0] == f"The maps are of layer {layer}, which auto finds."
    pinned = judged(model, source, "features.0", target_layer="features.0")
    assert pinned.provenance.layer_source is LayerSource.CONFIGURATION
    assert about_layers(pinned) == ("The maps are of layer features.0, which the configuration names.",)
    both = judged(model, source, layer)
    assert about_layers(both) == (f"The maps are of layer {layer}, which the model's metadata and auto both name.",)
    other = judged(model, source, "features.0")
    assert "metadata names layer features.0, auto finds " + layer in other.verdict.notes[0]
    assert "protocol.target_layer" in other.verdict.notes[0]


def test_another_layer_than_the_champions_is_said(model: nn.Module, source: TensorSource) -> None:
    images = (a_split(4, 64), source)
    champion = loaded(1, OneMoreLayer(model), *images)
    found = judged(model, source, None, baseline=champion)
    assert about_layers(found)[1:] == ("The maps of blobs/1, in production, are of another layer: late.",)
    assert about_layers(judged(model, source, None, baseline=loaded(1, model, *images)))[1:] == ()


def test_like_is_compared_with_like(model: nn.Module, source: TensorSource) -> None:
    """Both name a layer: each look compares the same layer of both, so that nothing differs at either."""
    champion = loaded(1, model, a_split(4, 64), source, declared_layer="features.0")
    found = judged(model, source, "features.0", baseline=champion)
    assert len(about_layers(found)) == 1
    assert found.summary("baseline_agreement", "case").value == 1
    assert found.summary("agreement_median_vs_baseline", "case").value == 0


def test_a_layer_that_nothing_can_be_judged_beside_is_refused(source: TensorSource) -> None:
    class Flat(nn.Module):
        """Computes on pixels alone: no layer has a grid."""

        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(480, 4)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.head(images.flatten(1))
            return logits

    torch.manual_seed(0)
    with pytest.raises(TargetLayerError, match=r"metadata names head.*set protocol\.target_layer: head"):
        judged(Flat(), source, "head")


@pytest.mark.parametrize(
    ("statuses", "place"),
    [("pf", 1), ("fp", 0), ("pp", 0), ("ip", 0), ("pi", 1), ("if", 1), ("fi", 0), ("ff", 0)],
)
def test_the_worse_counts(statuses: str, place: int) -> None:
    meaning = {"p": Status.PASS, "i": Status.INSUFFICIENT, "f": Status.FAIL}
    assert worse_of([Verdict(status=meaning[s], sentence="", results=()) for s in statuses]) == place


def test_a_layer_named_auto_is_no_name() -> None:
    assert looks("auto", "auto", lambda: "x") == looks("auto", None, lambda: "x")
