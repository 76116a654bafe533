"""Maps that do not know their class: whether it is them or the model is asked of occlusion maps, and said."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.occlusion_control import CONTROL_IMAGES
from case_monitor.measuring.local import Bench
from tests.support.sources import TensorSource, a_split
from tests.support.trial import LoadedVersion, evaluate

CLASSES, SIDE, IMAGES = 4, 8, 120
PROTOCOL = Protocol(methods=("gradcam",), sample_size=IMAGES)


class Evidence(nn.Module):
    """Logits are sums of evidence at places, which the layer holds: where they belong, or mixed up."""

    def __init__(self, *, mixed: bool) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(CLASSES, SIDE, SIDE, generator=rng))
        self.order = torch.randperm(SIDE * SIDE, generator=rng) if mixed else torch.arange(SIDE * SIDE)
        self.layer = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        evidence = (images * self.weight).flatten(2)[..., self.order]
        return self.layer(torch.unflatten(evidence, 2, (SIDE, SIDE))).sum((2, 3))


def evaluated(model: nn.Module, seen: list[str] | None = None, **changes: Any) -> Evaluation:
    images = torch.rand(IMAGES, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        source = TensorSource(images, model(images).argmax(1).numpy())
    version = LoadedVersion(
        version=ModelVersion(name="toy", version=1, run_id=None, digest="1" * 64),
        model=model,
        split=a_split(CLASSES, IMAGES),
        source=source,
    )
    stages = seen if seen is not None else []
    bench = Bench(progress=lambda stage, done, total: stages.append(stage))
    protocol = changes.pop("protocol", PROTOCOL)
    policy = Policy(gate_method=changes.pop("gate_method", "gradcam"))
    return evaluate(version, None, policy=policy, protocol=protocol, bench=bench).evaluation


def figure(evaluation: Evaluation, metric: str) -> MetricSummary | None:
    return next((s for s in evaluation.summaries if s.metric == metric), None)


def said(evaluation: Evaluation) -> str:
    [alert] = [a for a in evaluation.alerts if a.rule == "pair_contrast"]
    return f"{alert.message} {alert.advice}"


def test_maps_that_know_their_class_need_no_control() -> None:
    stages: list[str] = []
    evaluation = evaluated(Evidence(mixed=False), stages)
    pair = figure(evaluation, "pair_contrast")
    assert pair is not None
    assert pair.value == 1
    assert figure(evaluation, "occlusion_contrast") is None
    assert "explain by occlusion" not in stages


def test_a_layer_that_mixes_places_up_is_told_from_a_model_without_evidence() -> None:
    stages: list[str] = []
    evaluation = evaluated(Evidence(mixed=True), stages)
    pair, control = figure(evaluation, "pair_contrast"), figure(evaluation, "occlusion_contrast")
    assert pair is not None
    assert control is not None
    assert pair.value < 0.7
    assert (control.method, control.value, control.n) == ("", 1, CONTROL_IMAGES)
    assert control.ci_low == pytest.approx(0.929, abs=1e-3)  # Wilson's, 50 of 50
    assert "explain by occlusion" in stages
    assert "Occlusion maps know it: in 100 of 100 (interval 93 to 100)." in said(evaluation)
    assert "policy.gate_method: occlusion" in said(evaluation)
    shown = [a.advice for a in evaluation.alerts if a.rule == "shown_contrast" and a.status is Status.FAIL]
    assert all("Occlusion maps know their class, in 100 of 100 images" in advice for advice in shown)


def test_what_it_advises_helps() -> None:
    shown = evaluated(
        Evidence(mixed=True), gate_method="occlusion", protocol=Protocol(methods=("gradcam", "occlusion"))
    )
    rows = {s.metric: s for s in shown.summaries if s.metric in {"pair_contrast", "shown_contrast", "fidelity_dz"}}
    assert rows["pair_contrast"].value == 1
    assert rows["shown_contrast"].method == rows["fidelity_dz"].method == "occlusion"
    assert rows["shown_contrast"].value > 0.9
    assert rows["fidelity_dz"].ci_low > 0.3
    assert figure(shown, "occlusion_contrast") is None  # it would be the same again
    assert not [a for a in shown.alerts if a.rule in {"pair_contrast", "shown_contrast", "fidelity_dz"}]


class Chaos(Evidence):
    """Whatever is changed, and wherever, its logits become other ones, as if by lot."""

    def forward(self, images: Tensor) -> Tensor:
        return 5 * torch.cos(1000 * super().forward(images))


def test_a_model_without_evidence_in_a_place_is_told_so() -> None:
    evaluation = evaluated(Chaos(mixed=False))
    control = figure(evaluation, "occlusion_contrast")
    assert control is not None
    assert control.ci_low < 0.5
    words = said(evaluation)
    assert "Occlusion maps are not seen to know it either: in" in words
    assert "gate_method" not in words
