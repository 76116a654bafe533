"""The whole measurement on generated images, whose right answer is known."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal

from case_monitor.demo.models import PlainCNN
from case_monitor.domain.digests import evaluation_key, protocol_digest
from case_monitor.domain.errors import ConfigError, DataError, ModelError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.findings import Findings
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy, Threshold
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.split import Split
from case_monitor.domain.status import Status
from case_monitor.measuring.class_sensitivity import agreement
from case_monitor.measuring.local import Bench
from case_monitor.saliency import saliency_maps
from tests.support.rounding import FLOAT_TOLERANCE, Admissible, admissible
from tests.support.sources import TensorSource, a_split, blobs
from tests.support.trial import LoadedVersion, evaluate

POLICY = Policy(
    min_samples=20,
    thresholds=(
        Threshold(metric="agreement_median", method="gate", limit=0.5, greater_is_better=False),
        Threshold(metric="confidence_drop_50_vs_random", method="gate", limit=-0.1, greater_is_better=True),
    ),
)
PROTOCOL = Protocol(methods=("case", "gradcam", "layercam"), sample_size=40, batch_size=8)


def version(n: int) -> ModelVersion:
    return ModelVersion(name="blobs", version=n, run_id=None, digest=f"{n:064x}")


def trained(num_classes: int, *, seed: int = 0, steps: int = 60) -> PlainCNN:
    """A small CNN that has learned where the blobs are: the place matters, so a little pooling is kept."""
    torch.manual_seed(seed)
    model = PlainCNN(4, num_classes)
    model.pool = torch.nn.AdaptiveAvgPool2d((1, 6))
    model.head = torch.nn.Linear(8 * 6, num_classes)
    source = blobs(96, range(num_classes), seed=7)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(source.images), torch.from_numpy(source.target)).backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def model() -> PlainCNN:
    return trained(4)


@pytest.fixture(scope="module")
def source() -> TensorSource:
    return blobs(64, (0, 1, 2, 3))


def loaded(n: int, model: torch.nn.Module, split: Split, source: TensorSource, **more: Any) -> LoadedVersion:
    return LoadedVersion(version=version(n), model=model, split=split, source=source, **more)


def run(model: torch.nn.Module, source: TensorSource, num_classes: int = 4, **changes: Any) -> Findings:
    baseline, images = changes.pop("baseline", None), (a_split(num_classes, len(source.sample_ids)), source)
    known = changes.pop("known", None)
    return evaluate(
        loaded(2, model, *images),
        None if baseline is None else loaded(1, baseline, *images, scores=known or {}),
        policy=changes.pop("policy", POLICY),
        protocol=replace(PROTOCOL, **changes),
    )


def figures(evaluation: Evaluation) -> dict[tuple, list[float]]:
    return {
        (s.metric, s.method, s.class_idx): [
            s.value, s.n, s.n_undefined, s.ci_low, s.ci_high, s.sd, s.p_value, s.p_adjusted, s.effect_size
        ]
        for s in evaluation.summaries
    }  # fmt: skip


def assert_same_figures(first: Evaluation, second: Evaluation, atol: float) -> None:
    a, b = figures(first), figures(second)
    assert a.keys() == b.keys()
    for key, values in a.items():
        assert_allclose(values, b[key], rtol=atol, atol=atol, err_msg=str(key))


def assert_figures_follow_scores(first: Evaluation, second: Evaluation) -> None:
    """Values, bounds and SDs move no further than the scores that they are made of.

    Effect sizes and p values divide by SDs, and rank: of scores that are themselves rounding they may be anything.
    """
    a, b = figures(first), figures(second)
    assert a.keys() == b.keys()
    moved = {
        key: np.nanmax(np.abs(values - second.scores.values[key]), initial=0.0)
        for key, values in first.scores.values.items()
    }
    least = first.scores.confidence.min()  # what relative drops are divided by
    for key, (value, n, n_undefined, low, high, sd, *_) in a.items():
        other, n_other, n_undefined_other, low_other, high_other, sd_other, *_ = b[key]
        assert (n, n_undefined) == (n_other, n_undefined_other), key
        by = max(most for (method, _), most in moved.items() if method in {key[1], "case"})
        expected, atol = (other, low_other, high_other, sd_other), FLOAT_TOLERANCE + 2 * by / least
        assert_allclose((value, low, high, sd), expected, rtol=0, atol=atol, err_msg=str(key))


def test_a_good_model_passes_on_real_evidence(model: PlainCNN, source: TensorSource) -> None:
    evaluation = run(model, source).evaluation
    assert evaluation.summary("accuracy").value > 0.9
    assert evaluation.verdict.status is Status.PASS, evaluation.verdict
    assert evaluation.provenance.target_layer == "features"
    assert len(evaluation.scores.sample_ids) >= 35
    assert evaluation.summary("agreement_median", "case").n >= 20
    assert_array_equal(evaluation.confmat.counts.sum(1), [16, 16, 16, 16])
    assert all(0 < c.active_channels <= 8 for c in evaluation.class_metrics)
    assert np.isfinite(evaluation.duration_s)


def test_twice_gives_identical_numbers(model: PlainCNN, source: TensorSource) -> None:
    first, second = run(model, source).evaluation, run(model, source).evaluation
    assert_same_figures(first, second, atol=0)
    assert first.verdict == second.verdict
    assert first.key == second.key
    for key, values in first.scores.values.items():
        assert_array_equal(values, second.scores.values[key])


@pytest.fixture(scope="module")
def may_be(model: PlainCNN, source: TensorSource) -> Admissible:
    return admissible(model, source, run(model, source).evaluation, batch_sizes=(1, 8, 17, 64))


@pytest.mark.parametrize("batch_size", [1, 8, 17, 64])
def test_the_batch_size_changes_nothing_but_which_of_the_pixels_at_the_cut_are_taken(
    model: PlainCNN, source: TensorSource, may_be: Admissible, batch_size: int
) -> None:
    first, second = run(model, source).evaluation, run(model, source, batch_size=batch_size).evaluation
    assert_array_equal(first.preds.preds, second.preds.preds)
    assert_allclose(first.preds.confidence, second.preds.confidence, atol=FLOAT_TOLERANCE)
    assert_array_equal(first.confmat.counts, second.confmat.counts)
    assert_allclose(first.confmat.soft, second.confmat.soft, atol=FLOAT_TOLERANCE)
    assert first.scores.sample_ids == second.scores.sample_ids
    may_be.check(second.scores)
    assert_figures_follow_scores(first, second)
    assert first.verdict.status is second.verdict.status


def test_another_seed_changes_the_random_maps_and_nothing_of_the_model(model: PlainCNN, source: TensorSource) -> None:
    first, second = run(model, source, sample_size=64), run(model, source, sample_size=64, seed=1)
    a, b = first.evaluation, second.evaluation
    assert_array_equal(a.scores.values["case", "agreement"], b.scores.values["case", "agreement"])
    assert (a.scores.values["case", "random_drop_50"] != b.scores.values["case", "random_drop_50"]).any()
    assert a.key != b.key


def test_a_model_that_is_never_right_cannot_pass(source: TensorSource, model: PlainCNN) -> None:
    wrong = TensorSource(source.images, (source.target + 1) % 4)
    shifted = TensorSource(wrong.images, [(int(p) + 1) % 4 for p in model(source.images).argmax(1)])
    findings = run(model, shifted)
    evaluation = findings.evaluation
    assert evaluation.summary("accuracy").value == 0
    assert evaluation.scores.sample_ids == ()
    assert evaluation.verdict.status is not Status.PASS
    assert evaluation.summary("agreement_median", "case").n == 0
    assert findings.gallery.sample_ids == ()
    assert set(figures(evaluation)) < set(figures(run(model, source).evaluation))


def test_two_classes() -> None:
    evaluation = run(trained(2), blobs(48, (0, 1)), num_classes=2).evaluation
    assert evaluation.confmat.counts.shape == (2, 2)
    assert (evaluation.scores.top2 == 1 - evaluation.scores.target).all()
    assert [[v.class_idx for v in members] for members in evaluation.contrast_sets.members] == [[1], [0]]


def test_a_class_without_images_is_undefined_and_nothing_else(model: PlainCNN) -> None:
    source = blobs(60, (0, 1, 3))
    overall = Policy(min_samples=20, thresholds=(Threshold(metric="accuracy", limit=0.5, greater_is_better=True),))
    evaluation = run(model, source, policy=overall).evaluation
    assert evaluation.contrast_sets.unseen == (2,)
    assert np.isnan(evaluation.class_metrics[2].recall)
    assert np.isnan(evaluation.class_metrics[2].active_channels)
    assert evaluation.verdict.status is Status.PASS
    per_class = Threshold(metric="recall", per_class=True, limit=0.1, greater_is_better=True)
    strict = replace(overall, thresholds=(*overall.thresholds, per_class))
    assert run(model, source, policy=strict).evaluation.verdict.status is Status.INSUFFICIENT


def test_a_model_that_confuses_nothing_has_grad_cam_for_case_when_only_observed_confusions_count(
    model: PlainCNN, source: TensorSource
) -> None:
    evaluation = run(model, source, observed_only=True).evaluation
    assert evaluation.summary("accuracy").value == 1
    values = evaluation.scores.values
    assert_allclose(values["case", "agreement"], values["gradcam", "agreement"])
    filled = run(model, source).evaluation.scores.values
    assert not np.allclose(filled["case", "agreement"], filled["gradcam", "agreement"], equal_nan=True)


def test_an_identical_baseline_differs_by_nothing(model: PlainCNN, source: TensorSource) -> None:
    findings = run(model, source, baseline=model)
    row = findings.evaluation.summary("accuracy_vs_baseline")
    assert row.value == 0
    assert row.ci_low < 0 < row.ci_high
    assert_array_equal(findings.baseline_preds.confidence, findings.evaluation.preds.confidence)
    assert findings.evaluation.baseline == version(1)


def test_an_identical_baseline_explains_the_same_way(model: PlainCNN, source: TensorSource) -> None:
    evaluation = run(model, source, baseline=model).evaluation
    for method in PROTOCOL.methods:
        drift = evaluation.summary("baseline_agreement", method)
        assert (drift.value, drift.ci_low, drift.ci_high) == (1, 1, 1)
        assert drift.n + drift.n_undefined == len(evaluation.scores.sample_ids)
        for metric in ("agreement_median", "agreement_mean", "confidence_drop_50", "confidence_drop_5"):
            row = evaluation.summary(f"{metric}_vs_baseline", method)
            assert row.value == 0
            # Grad-CAM has no positive pixel on most of these images, and no interval on so few.
            assert (row.ci_low, row.ci_high) == (0, 0) or row.n < 5
            assert np.isnan(row.p_value)
    assert evaluation.summary("contrast_jaccard").value == 1


def test_another_training_explains_differently(model: PlainCNN, source: TensorSource) -> None:
    evaluation = run(model, source, baseline=trained(4, seed=1)).evaluation
    drift = evaluation.summary("baseline_agreement", "case")
    assert 0 < drift.value < 1
    assert drift.ci_low < drift.value < drift.ci_high


def test_stored_scores_of_the_baseline_give_what_measuring_it_gives(model: PlainCNN, source: TensorSource) -> None:
    other = trained(4, seed=1)
    alone = run(other, source).evaluation
    stored = {alone.provenance.target_layer: alone.scores}
    measured, known = (run(model, source, baseline=other, known=scores).evaluation for scores in (None, stored))
    assert_same_figures(measured, known, atol=0)


def test_stored_scores_of_another_layer_are_not_taken(model: PlainCNN, source: TensorSource) -> None:
    other = trained(4, seed=1)
    early = run(other, source, target_layer="features.0").evaluation
    stored = {early.provenance.target_layer: early.scores}
    measured, known = (run(model, source, baseline=other, known=scores).evaluation for scores in (None, stored))
    assert_same_figures(measured, known, atol=0)


def test_a_model_that_gives_nan_for_some_images_is_insufficient(model: PlainCNN, source: TensorSource) -> None:
    class Broken(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits = self.model(images)
            marked = (images == source.images[5]).flatten(1).all(1)
            return torch.where(marked[:, None], torch.full_like(logits, float("nan")), logits)

    evaluation = run(Broken(), source, target_layer="model.features").evaluation
    assert evaluation.verdict.status is Status.INSUFFICIENT
    assert "the logits of 1 of 64 images are NaN or infinite" in evaluation.verdict.sentence
    accuracy = evaluation.summary("accuracy")
    assert (accuracy.n, accuracy.n_undefined, accuracy.undefined_because) == (63, 1, "NaN or infinite logits")
    assert evaluation.confmat.counts.sum() == 63
    against = run(model, source, baseline=Broken(), target_layer="auto").evaluation.summary("accuracy_vs_baseline")
    assert np.isnan(against.value)


def test_a_model_that_gives_only_nan_is_insufficient_too(model: PlainCNN, source: TensorSource) -> None:
    broken = trained(4, steps=0)
    torch.nn.init.constant_(broken.head.bias, float("nan"))
    evaluation = run(broken, source, target_layer="features").evaluation
    assert evaluation.verdict.status is Status.INSUFFICIENT
    assert evaluation.scores.sample_ids == ()


def test_the_model_is_left_as_it_was_found(source: TensorSource) -> None:
    model = trained(4, steps=0).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    run(model, source)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(m.training and not m._forward_hooks for m in model.modules())
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_the_key_is_known_before_the_evaluation(model: PlainCNN, source: TensorSource) -> None:
    evaluation = run(model, source, baseline=model).evaluation
    known = evaluation_key(version(2), a_split(4, 64), version(1), POLICY, PROTOCOL)
    assert evaluation.key == known
    assert known != evaluation_key(version(2), a_split(4, 64), None, POLICY, PROTOCOL)
    assert known != evaluation_key(version(2), a_split(4, 64), version(1), POLICY, replace(PROTOCOL, contrast_k=2))
    assert known != evaluation_key(version(2), a_split(4, 64), version(1), replace(POLICY, min_samples=7), PROTOCOL)


def test_figures_of_other_code_or_another_torch_have_another_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(torch_version: str, figures: int) -> str:
        monkeypatch.setattr("case_monitor.domain.digests.version", lambda _package: torch_version)
        monkeypatch.setattr("case_monitor.domain.digests.FIGURES", figures)
        return protocol_digest(PROTOCOL)

    assert key("2.11.0+cpu", 2) == key("2.15.1", 2)
    assert len({key("2.11.0", 2), key("3.0.0", 2), key("2.11.0", 3)}) == 3


def test_progress_counts_up_to_all_images(model: PlainCNN, source: TensorSource) -> None:
    seen: list[tuple[str, int, int]] = []
    evaluate(
        loaded(1, model, a_split(4, 64), source),
        None,
        policy=POLICY,
        protocol=PROTOCOL,
        bench=Bench(progress=lambda *args: seen.append(args)),
    )
    last = {stage: (done, total) for stage, done, total in seen}
    assert last["predict"] == (64, 64)
    assert last["explain"][0] == last["explain"][1] > 0


def test_what_cannot_be_measured_is_refused(model: PlainCNN, source: TensorSource) -> None:
    with pytest.raises(ConfigError, match="gate_method"):
        run(model, source, methods=("gradcam",))
    with pytest.raises(ModelError, match=r"data set has 5, the model returns \(4,\)"):
        run(model, source, num_classes=5)
    with pytest.raises(DataError, match="0 of 4 came"):
        run(model, TensorSource(source.images[:0], []))
    with pytest.raises(DataError, match="64 of 1 came"):
        run(model, source, num_classes=1)


class NanWhereItWouldLose(torch.nn.Module):
    """Gives NaN on images with pixels taken away, where that would cost it confidence: those it would not count."""

    def __init__(self, model: PlainCNN, source: TensorSource) -> None:
        super().__init__()
        self.features, self.pool, self.head = model.features, model.pool, model.head
        self.register_buffer("whole", source.images)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        logits = self.head(self.pool(self.features(images)).flatten(1))
        known = (images.flatten(1)[:, None] == self.whole.flatten(1)[None]).all(-1).any(1)
        unsure = logits.softmax(1).amax(1) < 0.9
        return torch.where((unsure & ~known)[:, None], torch.full_like(logits, float("nan")), logits)


def test_nan_by_choice_withholds_and_is_called_what_it_is(model: PlainCNN, source: TensorSource) -> None:
    assert run(model, source).evaluation.verdict.status is Status.PASS
    evaluation = run(NanWhereItWouldLose(model, source), source).evaluation
    assert evaluation.summary("finite_logits").value == 1  # on whole images it gives numbers
    finite = evaluation.summary("finite_passes")
    broken = int(evaluation.scores.broken.sum())
    assert broken > 0
    assert finite.value == pytest.approx(1 - broken / finite.n)
    assert evaluation.verdict.status is Status.INSUFFICIENT
    reason = f"it gives NaN or infinity in passes over {broken} of the {finite.n} explained images"
    assert reason in next(r.reason for r in evaluation.verdict.results if r.threshold.metric == "finite_passes")
    assert "finite_passes" in [a.rule for a in evaluation.alerts]


def test_a_champion_that_gives_nan_by_choice_is_not_compared_with(model: PlainCNN, source: TensorSource) -> None:
    evaluation = run(model, source, baseline=NanWhereItWouldLose(model, source)).evaluation
    row = evaluation.summary("confidence_drop_50_vs_baseline", "case")
    assert np.isnan(row.value)
    assert row.undefined_because == "NaN or infinite logits"
    assert evaluation.summary("accuracy_vs_baseline").value == 0


class NanGradient(torch.autograd.Function):
    """Passes images on, and NaN back for those that are marked."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone()
        gradient[0] = float("nan")
        return gradient


def test_nan_in_gradients_is_no_empty_map(model: PlainCNN, source: TensorSource) -> None:
    class Hiding(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.features, self.pool, self.head = model.features, model.pool, model.head

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = self.head(self.pool(NanGradient.apply(self.features(images))).flatten(1))
            return logits

    evaluation = run(Hiding(), source, target_layer="features").evaluation
    n = len(evaluation.scores.sample_ids)
    assert evaluation.scores.broken.tolist() == [i % PROTOCOL.batch_size == 0 for i in range(n)]
    assert evaluation.verdict.status is Status.INSUFFICIENT


class Fickle(torch.nn.Module):
    """The same network, whose answers do not depend on the image alone."""

    def __init__(self, model: PlainCNN, how: str, scale: float) -> None:
        super().__init__()
        self.features, self.pool, self.head, self.how, self.calls = model.features, model.pool, model.head, how, 0
        self.scale = scale

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.features(images)
        if self.how == "batch norm":  # without running statistics
            features = torch.nn.functional.batch_norm(features, None, None, training=True)
        pooled = self.pool(features).flatten(1)
        if self.how == "dropout":
            pooled = torch.nn.functional.dropout(pooled, 0.5, training=True)
        logits: torch.Tensor = self.head(pooled)
        self.calls += 1
        if self.how == "prior of the batch":  # sees that a batch is of one class, where a split lies class by class
            logits = logits + 4 * logits.softmax(1).mean(0).log()
        if self.how == "later":
            logits = logits.roll(1, 1) if self.calls > 60 else logits
        return logits * self.scale


@pytest.mark.parametrize("scale", [1, 1e-4])
@pytest.mark.parametrize("how", ["dropout", "batch norm", "prior of the batch", "later"])
def test_a_model_that_is_no_function_of_the_image_never_passes(how: str, scale: float) -> None:
    """Nor does one whose logits are so small that no probability moves."""
    mixed = blobs(64, (0, 1, 2, 3), noise=0.9)
    order = np.argsort(mixed.target, kind="stable")
    source = TensorSource(mixed.images[order], mixed.target[order])
    model = trained(4)
    honest = run(Fickle(model, "honest", scale), source).evaluation
    assert "same_answers" not in {r.threshold.metric for r in honest.verdict.results}
    assert (honest.summary("same_answers").value, honest.summary("same_answers").n) == (1.0, 40)
    evaluation = run(Fickle(model, how, scale), source).evaluation
    same = evaluation.summary("same_answers")
    assert same.value < 1
    assert evaluation.verdict.status is not Status.PASS
    [result] = [r for r in evaluation.verdict.results if r.threshold.metric == "same_answers"]
    changed = round(same.n * (1 - same.value))
    assert result.reason.startswith(f"{changed} of {same.n} images get another answer when they are shown again")
    [alert] = [a for a in evaluation.alerts if a.rule == "same_answers"]
    assert "dropout that stays on" in alert.advice


def test_the_prior_of_the_batch_would_have_paid() -> None:
    """What the check above keeps out: figures that are better than the model is."""
    mixed = blobs(64, (0, 1, 2, 3), noise=0.9)
    order = np.argsort(mixed.target, kind="stable")
    source = TensorSource(mixed.images[order], mixed.target[order])
    model = trained(4)
    plain, cheat = run(model, source).evaluation, run(Fickle(model, "prior of the batch", 1), source).evaluation
    assert cheat.summary("accuracy").value > plain.summary("accuracy").value + 0.02


def test_each_image_may_have_a_contrast_of_its_own(model: PlainCNN, source: TensorSource) -> None:
    """As `saliency_maps` makes maps without contrast sets: of the image's highest other logits."""
    version_ = loaded(1, model, a_split(4, 64), source)
    own = evaluate(version_, None, policy=POLICY, protocol=replace(PROTOCOL, contrast="image")).evaluation
    sets = evaluate(version_, None, policy=POLICY, protocol=PROTOCOL).evaluation
    images = source.images[[source.sample_ids.index(name) for name in own.scores.sample_ids]]
    classes = torch.from_numpy(np.stack([own.scores.target, own.scores.top2], axis=1))
    for found, contrast in ((own, None), (sets, sets.contrast_sets.weights())):
        maps = saliency_maps(model, images, classes, target_layer="features", methods=("case",), contrast_sets=contrast)
        expected = agreement(maps["case"][:, 0], maps["case"][:, 1])
        assert_allclose(found.scores.values["case", "agreement"], expected, atol=1e-6)
    assert_array_equal(own.scores.values["gradcam", "agreement"], sets.scores.values["gradcam", "agreement"])
    said = "of the contrast sets were never predicted for their class"
    assert any(said in note for note in sets.verdict.notes)
    assert not any(said in note for note in own.verdict.notes)
