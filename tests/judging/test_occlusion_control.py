"""Maps that do not know their class: whether it is them or the model is asked of occlusion maps, and said."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from case_monitor.domain.errors import ModelError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import CONTRAST_THRESHOLDS, PAPER_THRESHOLDS, Policy, Threshold
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import Sample
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.occlusion_control import CONTROL_IMAGES
from case_monitor.judging.statistics.intervals import wilson_interval
from case_monitor.judging.verdict import judge
from case_monitor.measuring.local import Bench
from case_monitor.saliency import METHODS
from tests.support.sources import TensorSource, a_split
from tests.support.trial import LoadedVersion, evaluate

CLASSES, SIDE, IMAGES = 4, 8, 120
NAN = float("nan")
ONE = ModelVersion(name="toy", version=1, run_id=None, digest="1" * 64)
PROTOCOL = Protocol(methods=("gradcam",), sample_size=IMAGES)


def share(metric: str, hits: float, method: str = "", n: int = 50, n_undefined: int = 0) -> MetricSummary:
    low, high = wilson_interval(hits, n, 0.95) if n else (NAN, NAN)
    value = hits / n if n else NAN
    return MetricSummary(
        metric=metric, method=method, value=value, n=n, n_undefined=n_undefined, ci_low=low, ci_high=high
    )


class Evidence(nn.Module):
    """Logits are sums of evidence at places, which the layer holds: where they belong, or mixed up.

    Each place of a layer that mixes them up is a little of all: in another order alone, it is found to be no picture.
    """

    def __init__(self, *, mixed: bool) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(CLASSES, SIDE, SIDE, generator=rng))
        places = SIDE * SIDE
        noise = torch.randn(places, places, generator=rng) / SIDE
        mixing = 1 / places + noise - noise.mean(0)  # columns sum to 1, so that logits are the same
        self.mixing = mixing if mixed else torch.eye(places)
        self.layer = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        evidence = (images * self.weight).flatten(2) @ self.mixing.T
        return self.layer(torch.unflatten(evidence, 2, (SIDE, SIDE))).sum((2, 3))


def evaluated(model: nn.Module, seen: list[str] | None = None, **changes: Any) -> Evaluation:
    lit = torch.rand(IMAGES, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(1)) < 0.5
    images = torch.where(lit, 1.0, -1.0)  # what is not lit is as dark as what a window is hidden with
    with torch.no_grad():
        source = TensorSource(images, model(images).argmax(1).numpy())
    version = LoadedVersion(
        version=ONE,
        model=model,
        split=a_split(CLASSES, IMAGES),
        source=source,
    )
    stages = seen if seen is not None else []
    bench = Bench(progress=lambda stage, done, total: stages.append(stage))
    protocol = changes.pop("protocol", PROTOCOL)
    thresholds = changes.pop("thresholds", CONTRAST_THRESHOLDS)
    policy = Policy(gate_method=changes.pop("gate_method", "gradcam"), thresholds=thresholds)
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


def test_where_no_rule_asks_there_is_none() -> None:
    stages: list[str] = []
    evaluation = evaluated(Evidence(mixed=True), stages, thresholds=PAPER_THRESHOLDS)
    assert figure(evaluation, "pair_contrast") is not None
    assert figure(evaluation, "occlusion_contrast") is None
    assert {"explain by occlusion", "transplant"}.isdisjoint(stages)


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
    assert "Occlusion maps know it: in 50 of 50 images (interval 93 to 100 of 100)." in said(evaluation)
    assert "policy.gate_method: occlusion" in said(evaluation)
    shown = [a.advice for a in evaluation.alerts if a.rule == "shown_contrast" and a.status is Status.FAIL]
    assert all("Occlusion maps know it: in 50 of 50 images" in advice for advice in shown)


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


@pytest.mark.parametrize(
    ("control", "words", "advised"),
    [
        (share("occlusion_contrast", 50), "Occlusion maps know it: in 50 of 50 images", True),
        (share("occlusion_contrast", 43), "know it better than by chance: in 43 of 50 images (interval 74 to 93", True),
        (share("occlusion_contrast", 27), "are not seen to know it either: in 27 of 50 images", False),
        (share("occlusion_contrast", 3, n=3, n_undefined=47), "cannot tell: 3 of 50 images gave a figure", False),
        (replace(share("occlusion_contrast", 44), ci_low=NAN, ci_high=NAN), "and cannot tell: 50 of 50", False),
        (share("occlusion_contrast", 0, n=0, n_undefined=50), "cannot tell: 0 of 50 images", False),
    ],
)
def test_what_is_said_of_the_control(control: MetricSummary, words: str, advised: bool) -> None:
    for pair in (share("pair_contrast", 60, n=140), share("pair_contrast", 116, n=140)):  # fails; insufficient
        rows = [pair, share("shown_contrast", 50, "gradcam", n=140), control]
        policy = Policy(
            gate_method="gradcam",
            thresholds=tuple(t for t in CONTRAST_THRESHOLDS if t.metric in {"pair_contrast", "shown_contrast"}),
        )
        verdict, alerts = judge(ONE, rows, policy, baseline=None, class_names=("cat", "dog"))
        said = {a.rule: f"{a.message} {a.advice}" for a in alerts}
        assert words in said["pair_contrast"]
        assert verdict.status in {Status.FAIL, Status.INSUFFICIENT}
        if pair.value < 0.5:
            assert ("gate_method: occlusion" in said["pair_contrast"]) == advised
        sure = control.ci_low > 0.85 and control.n >= 20
        assert ("Occlusion maps know it: " in said["shown_contrast"]) == sure


@pytest.mark.parametrize(("shown", "tried"), [("occlusion", "gradcam"), ("gradcam", "occlusion")])
def test_another_gate_is_not_judged_by_a_pair_map_that_is_not_its_own(shown: str, tried: str) -> None:
    rows = [share("pair_contrast", 140, n=140), share("shown_contrast", 140, shown, n=140)]
    rule = Threshold(metric="pair_contrast", limit=0.85, greater_is_better=True)
    for gate, status in ((shown, Status.PASS), (tried, Status.INSUFFICIENT)):
        policy = Policy(gate_method=gate, thresholds=(rule,))
        verdict, _ = judge(ONE, rows, policy, baseline=None, class_names=("cat", "dog"))
        assert verdict.status is status
    both = [share("pair_contrast", 140, n=140), share("shown_contrast", 140, "case", n=140)]
    verdict, _ = judge(
        ONE, both, Policy(gate_method="gradcam", thresholds=(rule,)), baseline=None, class_names=("cat", "dog")
    )
    assert verdict.status is Status.PASS  # of one layer, whichever of its methods is shown


def test_the_control_is_of_images_all_over_the_sample() -> None:
    preds = Predictions(
        sample_ids=tuple(map(str, range(120))), logits=np.zeros((120, 2), np.float32), target=np.arange(120) // 60
    )
    sample = Sample(indices=np.arange(120) + 7, preds=preds, top2=np.arange(120))
    few = sample.spread(50)
    assert len(few.indices) == 50
    assert few.preds.target.sum() == 25  # of a split that is sorted by class
    assert [int(name) + 7 for name in few.preds.sample_ids] == few.indices.tolist()
    assert few.top2.tolist() == [i - 7 for i in few.indices]
    assert len(sample.spread(500).indices) == 120
    assert len(Sample(indices=sample.indices[:0], preds=preds, top2=sample.top2[:0]).spread(50).indices) == 0


def test_a_control_that_cannot_be_had_takes_no_verdict_away(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_maps(*_: Any) -> None:
        raise ModelError("its process answered what is no answer")

    expected = evaluated(Evidence(mixed=True))
    monkeypatch.setattr("case_monitor.saliency.maps.METHODS", {**METHODS, "occlusion": no_maps})
    monkeypatch.setattr("case_monitor.saliency.maps._WITH_EVIDENCE", {"occlusion": no_maps})
    evaluation = evaluated(Evidence(mixed=True))
    assert figure(evaluation, "occlusion_contrast") is None
    assert evaluation.verdict.status is expected.verdict.status
    assert "Occlusion maps" not in said(evaluation)
