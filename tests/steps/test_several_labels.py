"""Images of several classes, judged: a network that knows all of them passes, whatever else an image shows."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from torch import Tensor, nn

from case_monitor.demo.models import PlainCNN
from case_monitor.domain.errors import ConfigError, DataError
from case_monitor.domain.evaluation import Evaluation
from case_monitor.domain.policy import Policy, Threshold
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.status import Status
from case_monitor.judging.reproduce import Stored
from tests.steps.test_trial import version
from tests.support.sources import BlobNet, TensorSource, a_split
from tests.support.trial import LoadedVersion, evaluate, reproduce

NUM_CLASSES, SIZE = 4, 200
POLICY = Policy(min_samples=20, min_class_samples=20)
PROTOCOL = Protocol(methods=("case", "gradcam"), sample_size=120, batch_size=16, areas=(0.5, 0.05), contrast_k=2)


def several_blobs(n: int, *, noise: float = 0.05, seed: int = 0) -> TensorSource:
    """(1, 20, 24) images with a blob for each of one to three of four classes, of which one is drawn to be asked."""
    rng = np.random.default_rng(seed)
    images = noise * torch.randn(n, 1, 20, 24, generator=torch.Generator().manual_seed(seed))
    target, excluded = [], np.zeros((n, NUM_CLASSES), dtype=bool)
    for image, others in zip(images, excluded, strict=True):
        classes = rng.choice(NUM_CLASSES, rng.integers(1, 4), replace=False)
        for u in classes.tolist():
            row = int(rng.integers(0, 15))
            image[0, row : row + 5, 5 * u : 5 * u + 5] += 1
        target.append(int(classes[0]))
        others[classes[1:]] = True
    return TensorSource(images, target, excluded)


SOURCE = several_blobs(SIZE)


def loaded(model: nn.Module, source: TensorSource = SOURCE, n: int = 1) -> LoadedVersion:
    return LoadedVersion(
        version=version(n), split=a_split(NUM_CLASSES, len(source.images)), source=source, model=model.eval()
    )


def judged(model: nn.Module, source: TensorSource = SOURCE, **more: object) -> Evaluation:
    given = {"policy": POLICY, "protocol": PROTOCOL} | more
    return evaluate(loaded(model, source), None, **given).evaluation


def figure(evaluation: Evaluation, metric: str, method: str = "", u: int | None = None) -> float:
    found = [s for s in evaluation.summaries if (s.metric, s.method, s.class_idx) == (metric, method, u)]
    assert len(found) == 1, metric
    return found[0].value


class Yes(BlobNet):
    """Says yes to each class that it sees, by a logit above 0."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, 20, 24) -> (B, num_classes) logits."""
        return super().forward(images) - 4


class Blind(nn.Module):
    """The same answer to every image."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.head = nn.Linear(8, NUM_CLASSES)
        nn.init.zeros_(self.head.weight)
        self.head.bias.data = torch.tensor([0.4, 0.3, 0.2, 0.1])

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, 20, 24) -> (B, num_classes) logits."""
        logits: Tensor = self.head(self.conv(images).relu().mean((-2, -1)))
        return logits


@pytest.fixture(scope="module")
def learned() -> PlainCNN:
    """Trained as such networks are: a yes or no to each class by itself."""
    torch.manual_seed(0)
    model = PlainCNN(8, NUM_CLASSES)
    model.pool = nn.AdaptiveAvgPool2d((1, 6))
    model.head = nn.Linear(16 * 6, NUM_CLASSES)
    source = several_blobs(300, noise=0.3, seed=7)
    there = torch.from_numpy(source.excluded.copy()).float()
    there[torch.arange(300), torch.from_numpy(source.target)] = 1
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(80):
        optimizer.zero_grad()
        nn.functional.binary_cross_entropy_with_logits(model(source.images), there).backward()
        optimizer.step()
    return model.eval()


def test_a_network_that_has_learned_all_classes_passes(learned: PlainCNN) -> None:
    """By occlusion: what tells these classes apart is the place, which gradients that are pooled do not know."""
    protocol = replace(PROTOCOL, methods=("case", "gradcam", "occlusion"))
    policy = replace(POLICY, gate_method="occlusion")
    found = judged(learned, several_blobs(SIZE, noise=0.3), policy=policy, protocol=protocol)
    assert found.verdict.status is Status.PASS, found.verdict.sentence
    assert figure(found, "accuracy") > 0.95
    for u in range(NUM_CLASSES):
        assert min(figure(found, "label_recall", u=u), figure(found, "label_precision", u=u)) > 0.9


def test_a_network_that_knows_all_classes_is_right() -> None:
    found = judged(Yes(NUM_CLASSES))
    assert figure(found, "accuracy") == 1
    for u in range(NUM_CLASSES):
        assert figure(found, "label_recall", u=u) == figure(found, "label_precision", u=u) == 1


def test_without_the_other_classes_it_would_be_wrong_on_half_of_them() -> None:
    """What the same images say where each is taken for one of its class alone: the reason for all this."""
    alone = TensorSource(SOURCE.images, SOURCE.target)
    found = judged(Yes(NUM_CLASSES), alone)
    assert figure(found, "accuracy") < 0.8
    assert not any(s.metric == "label_recall" for s in found.summaries)


def test_who_does_not_look_is_withheld() -> None:
    """It is right by the order of its classes alone, more often than the most frequent class is asked about."""
    found = judged(Blind())
    assert found.verdict.status is not Status.PASS
    answers = np.array([next(u for u in range(NUM_CLASSES) if not row[u]) for row in SOURCE.excluded])
    assert figure(found, "accuracy") == pytest.approx((answers == SOURCE.target).mean())
    assert figure(found, "accuracy") > 1.2 * np.bincount(SOURCE.target).max() / SIZE
    assert figure(found, "skill") <= 0


def test_a_class_that_is_excluded_has_no_part_in_any_figure() -> None:
    """Another network that shouts the other classes of an image, and differs in nothing else, has the same figures."""

    class Loud(Yes):
        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            return torch.where(logits > 1, logits + 3, logits)

    only_one = SOURCE.excluded.sum(1) == NUM_CLASSES - 2  # all classes but one beside its own are excluded
    places = np.flatnonzero(only_one)
    few = TensorSource(SOURCE.images[places], SOURCE.target[places], SOURCE.excluded[places])
    policy = replace(POLICY, min_samples=10)
    pair = [judged(net(NUM_CLASSES), few, policy=policy) for net in (Yes, Loud)]
    assert_array_equal(pair[0].preds.preds, pair[1].preds.preds)
    assert_array_equal(pair[0].scores.top2, pair[1].scores.top2)
    # With two classes left, confidence is that of the two logits by hand.
    logits = Yes(NUM_CLASSES).eval()(few.images).double().detach().numpy()
    rows = np.arange(len(places))
    other = np.argmax(~few.excluded & (np.arange(NUM_CLASSES) != few.target[:, None]), axis=1)
    expected = 1 / (1 + np.exp(logits[rows, other] - logits[rows, few.target]))
    drawn = [few.sample_ids.index(name) for name in pair[0].scores.sample_ids]
    assert_allclose(pair[0].scores.confidence, expected[drawn], rtol=1e-5)
    assert_array_equal(pair[0].scores.top2, other[drawn])


def test_rules_may_ask_for_yes_and_no() -> None:
    rules = (
        Threshold(metric="label_recall", per_class=True, limit=0.8, greater_is_better=True),
        Threshold(metric="label_precision", per_class=True, limit=0.8, greater_is_better=True),
        Threshold(metric="skill", limit=0.0, greater_is_better=True),
    )
    policy = replace(POLICY, thresholds=rules, min_class_samples=20)
    assert judged(Yes(NUM_CLASSES), policy=policy).verdict.status is Status.PASS
    strict = replace(PROTOCOL, label_threshold=0.9999)
    assert judged(Yes(NUM_CLASSES), policy=policy, protocol=strict).verdict.status is Status.FAIL
    alone = TensorSource(SOURCE.images, SOURCE.target)  # of images of one class there is no such figure
    with pytest.raises(ConfigError, match=r"label_recall is of images of several classes.*no such figure on 'val'"):
        judged(Yes(NUM_CLASSES), alone, policy=policy)
    softmax = nn.Sequential(Yes(NUM_CLASSES), nn.Softmax(1))
    with pytest.raises(ConfigError, match="no such figure"):
        judged(softmax, policy=policy, protocol=replace(PROTOCOL, target_layer="0.relu"))


def test_a_softmax_has_no_yes_and_says_so() -> None:
    softmax = nn.Sequential(Yes(NUM_CLASSES), nn.Softmax(1))
    found = judged(softmax, protocol=replace(PROTOCOL, target_layer="0.relu"))
    assert not any(s.metric.startswith("label_") for s in found.summaries)
    said = "There is no label_precision or label_recall: the model returns a softmax"
    assert any(note.startswith(said) for note in found.verdict.notes)
    assert figure(found, "accuracy") == 1


def test_thresholds_of_classes_are_no_matter_where_images_are_of_one() -> None:
    alone = TensorSource(SOURCE.images, SOURCE.target)
    protocol = replace(PROTOCOL, label_thresholds={"cat": 0.3})
    assert judged(Yes(NUM_CLASSES), alone, protocol=protocol).preds is not None
    with pytest.raises(ConfigError, match="classes of the model were expected, 'cat' came"):
        judged(Yes(NUM_CLASSES), protocol=protocol)


def test_versions_that_are_asked_about_other_classes_are_not_compared() -> None:
    """Though no image is asked about the two that change places."""
    places = np.flatnonzero(SOURCE.target < 2)
    ours = TensorSource(SOURCE.images[places], SOURCE.target[places], SOURCE.excluded[places])
    theirs = TensorSource(ours.images, ours.target, ours.excluded[:, [0, 1, 3, 2]])
    split = a_split(NUM_CLASSES, len(places))
    version_ = loaded(Yes(NUM_CLASSES), ours)
    evaluate(version_, replace(version_, version=version(2)), policy=POLICY, protocol=PROTOCOL)
    other = replace(version_, version=version(2), split=split, source=theirs)
    alone = replace(version_, version=version(2), source=TensorSource(ours.images, ours.target))
    for baseline in (other, alone):
        with pytest.raises(DataError, match="its labels mean other classes to each"):
            evaluate(version_, baseline, policy=POLICY, protocol=PROTOCOL)


def test_two_versions_are_asked_the_same_and_the_better_one_is_seen() -> None:
    class Worse(Yes):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) - torch.tensor([0.0, 0.0, 0.0, 10.0])

    good, bad = loaded(Yes(NUM_CLASSES), n=1), loaded(Worse(NUM_CLASSES), n=2)
    found = evaluate(bad, good, policy=POLICY, protocol=PROTOCOL).evaluation
    assert found.verdict.status is not Status.PASS
    assert figure(found, "accuracy_vs_baseline") < -0.05
    same = evaluate(good, loaded(Yes(NUM_CLASSES), n=3), policy=POLICY, protocol=PROTOCOL).evaluation
    assert figure(same, "accuracy_vs_baseline") == 0
    assert figure(same, "baseline_agreement", "case") == pytest.approx(1, abs=1e-6)


def test_it_comes_out_again() -> None:
    version_ = loaded(Yes(NUM_CLASSES))
    found = evaluate(version_, None, policy=POLICY, protocol=PROTOCOL).evaluation
    stored = Stored(scores=found.scores, contrast_sets=found.contrast_sets, target_layer=found.provenance.target_layer)
    again = reproduce(version_, stored, protocol=PROTOCOL, images=20)
    assert again.reproduced
    assert again.changed_predictions == 0
