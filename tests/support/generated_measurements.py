"""Made-up measurements: predictions and scores are random, what follows from them is what the core makes of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np

from case_monitor.alerts.standing import ARTIFACT
from case_monitor.domain.arrays import FloatArray, IntArray
from case_monitor.domain.confusion_matrix import ConfusionMatrix
from case_monitor.domain.digests import digest, protocol_digest
from case_monitor.domain.evaluation import Evaluation, Provenance
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import Policy
from case_monitor.domain.predictions import PredictedClasses, Predictions
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.sample import Sample, drawn_indices
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.split import Split
from case_monitor.judging.confusion import class_metrics
from case_monitor.judging.contrast_sets import contrast_sets
from case_monitor.judging.figures.between_versions import Measured, comparison_summaries
from case_monitor.judging.figures.of_one_version import explained_share, explanation_summaries, model_summaries
from case_monitor.judging.predicted_split import predicted_classes
from case_monitor.judging.same_answers import logit_difference
from case_monitor.judging.verdict import judge
from case_monitor.measuring.drift import drift_methods
from tests.support.factories import contrast_scores
from tests.support.whole import confusion_matrix

POLICY = Policy()
PROTOCOL = Protocol(sample_size=240)
CONFUSED_WITH = 4  # a class is mistaken for one of so many neighbours
BROAD = 6.0  # how closely agreement gathers around its mean, as a + b of a beta distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What sets a made-up version apart.

    Attributes:
        seed: of what differs from other versions on the same images.
        agreement: method -> mean; those that are not named have the usual one.
        degenerate: share of CASE's maps.
        knows: how surely its maps know which class they explain: the mean of pair contrast's c, in SDs.
        drop: by how much more the top 5% of CASE's pixels lower the confidence than random ones do.
        lost, lost_of: images that are wrong beyond the usual ones, of which class (None: of any).
        gained: images that are right although they are usually wrong.
    """

    seed: int
    agreement: Mapping[str, float] = field(default_factory=dict)
    degenerate: float = 0.02
    knows: float = 2.0
    drop: float = 0.25
    lost: int = 4
    lost_of: int | None = None
    gained: int = 4


USUAL_AGREEMENT = {
    "case": 0.28,
    "gradcam": 0.55,
    "gradcam++": 0.72,
    "scorecam": 0.62,
    "ablationcam": 0.5,
    "layercam": 0.78,
}
"""The order that the paper finds: only CASE tells classes apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """What was measured on one version."""

    traits: Traits
    preds: PredictedClasses
    confmat: ConfusionMatrix
    active_channels: FloatArray
    scores: SampleScores

    @property
    def measured(self) -> Measured:
        """What a comparison takes."""
        contrasts = contrast_sets(self.confmat, PROTOCOL.contrast_k)
        return Measured(preds=self.preds, contrasts=contrasts, scores=self.scores)


def measure(traits: Traits, supports: IntArray, wrong: float = 0.09) -> Measurement:
    """A version's predictions and scores on images that are the same for every version.

    Args:
        traits: of the version.
        supports: (C,) images per class.
        wrong: share of the images that are usually wrong.
    """
    target = np.repeat(np.arange(len(supports)), supports)
    target = np.random.default_rng(0).permutation(target)
    logits = _logits(traits, target, len(supports), wrong)
    ids = tuple(f"val/{i:06d}.png" for i in range(len(target)))
    preds = Predictions(sample_ids=ids, logits=logits, target=target)
    rng = np.random.default_rng(traits.seed)
    return Measurement(
        traits=traits,
        preds=predicted_classes(preds),
        confmat=confusion_matrix(preds, len(supports)),
        active_channels=rng.gamma(20, 3, len(supports)),
        scores=_scores(traits, preds),
    )


def _logits(traits: Traits, target: IntArray, num_classes: int, wrong: float) -> np.ndarray:
    """(N, C) float32 whose highest is the class meant to be predicted, by a margin that tells right from wrong."""
    shared, own = np.random.default_rng(1), np.random.default_rng(traits.seed)
    n = len(target)
    neighbour = (target + 1 + shared.integers(0, CONFUSED_WITH, n) % (num_classes - 1)) % num_classes
    is_wrong = shared.random(n) < wrong
    candidates = ~is_wrong if traits.lost_of is None else ~is_wrong & (target == traits.lost_of)
    lost = own.choice(np.flatnonzero(candidates), traits.lost, replace=False)
    gained = own.choice(np.flatnonzero(is_wrong), traits.gained, replace=False)
    is_wrong[lost], is_wrong[gained] = True, False
    logits = 0.7 * own.standard_normal((n, num_classes), dtype=np.float32)
    rows, predicted = np.arange(n), np.where(is_wrong, neighbour, target)
    logits[rows, neighbour] += 2
    logits[rows, predicted] = logits.max(axis=1) + own.gamma(np.where(is_wrong, 1.0, 3.0), 1.0) + 0.01
    return logits


def _scores(traits: Traits, preds: Predictions) -> SampleScores:
    drawn = drawn_indices(len(preds.target), PROTOCOL.sample_size, PROTOCOL.seed)
    of_drawn = Predictions(
        sample_ids=tuple(preds.sample_ids[i] for i in drawn), logits=preds.logits[drawn], target=preds.target[drawn]
    )
    sample = Sample.of(drawn, of_drawn)
    classes = predicted_classes(sample.preds)
    return SampleScores(
        sample_ids=classes.sample_ids,
        target=classes.target,
        top2=sample.top2,
        confidence=classes.confidence,
        values=_values(traits, sample.indices, len(preds.target)),
    )


def _values(traits: Traits, places: IntArray, size: int) -> dict[tuple[str, str], FloatArray]:
    """Scores per image; one that is hard to explain for a version is so for the others as well."""
    own, n = np.random.default_rng(traits.seed + 1000), len(places)
    hard = np.random.default_rng(2).normal(0, 0.08, size)[places]
    values = {}
    for i, method in enumerate(PROTOCOL.methods):
        mean = traits.agreement.get(method, USUAL_AGREEMENT[method])
        agreement = np.clip(own.beta(BROAD * mean, BROAD * (1 - mean), n) + hard, 0, 1)
        agreement[own.random(n) < (traits.degenerate if method == "case" else 0.01 * i)] = np.nan
        values[method, "agreement"] = agreement
        gain = traits.drop if method == "case" else 0.2 - 0.03 * i
        for suffix, random, more in (("50", 0.3, 0.2), ("5", 0.05, gain)):
            control = np.clip(own.normal(random, 0.12, n) - hard, -1, 1)
            values[method, f"confidence_drop_{suffix}"] = np.clip(control + own.normal(more, 0.2, n), -1, 1)
            values[method, f"random_drop_{suffix}"] = control
    values["random", "agreement"] = np.clip(own.beta(2, 38, n), 0, 1)
    shown, fidelity = traits.knows / 2, 4 * traits.drop
    return values | contrast_scores(PROTOCOL.methods, n, traits.seed, pair=traits.knows, shown=shown, fidelity=fidelity)


def version_of(name: str, version: int) -> ModelVersion:
    """A registered version whose digest follows from its name and number."""
    digest_of = sha256(f"{name}/{version}".encode()).hexdigest()
    return ModelVersion(name=name, version=version, run_id=digest_of[:32], digest=digest_of)


def evaluated(
    model: ModelVersion,
    found: Measurement,
    class_names: tuple[str, ...],
    *,
    baseline: tuple[ModelVersion, Measurement] | None = None,
    split_name: str = "validation",
    in_production: bool = False,
    duration_s: float = 240.0,
) -> Evaluation:
    """Everything that follows from a measurement, as `core.evaluation.evaluate` puts it together."""
    classes = class_metrics(found.confmat, found.active_channels, POLICY.confidence_level)
    summaries = model_summaries(found.confmat, classes, 0, POLICY, PROTOCOL.seed)
    summaries += (explained_share(found.scores, len(found.preds.target), PROTOCOL, POLICY),)
    summaries += explanation_summaries(found.scores, PROTOCOL, POLICY)
    again = np.zeros((100, len(class_names)), dtype=np.float32)
    summaries += (logit_difference(again, again),)
    if baseline is not None:
        drift = _drift(found)
        measured = (found.measured, baseline[1].measured)
        summaries += comparison_summaries(*measured, drift, PROTOCOL, POLICY.confidence_level)
    compared = baseline[0] if baseline else None
    verdict, alerts = judge(
        model, summaries, POLICY, baseline=compared, class_names=class_names, in_production=in_production
    )
    size = len(found.preds.target)
    return Evaluation(
        model=model,
        split=Split(name=split_name, digest=digest([split_name, class_names]), class_names=class_names, size=size),
        baseline=compared,
        policy=POLICY,
        provenance=PROVENANCE,
        preds=found.preds,
        confmat=found.confmat,
        class_metrics=classes,
        contrast_sets=found.measured.contrasts,
        scores=found.scores,
        summaries=summaries,
        verdict=verdict,
        alerts=alerts,
        in_production=in_production,
        looked_at=frozenset({ARTIFACT}),
        duration_s=duration_s,
    )


def _drift(found: Measurement) -> dict[str, FloatArray]:
    """Method -> (n,) agreement with the baseline's maps."""
    rng = np.random.default_rng(found.traits.seed + 2000)
    return {method: rng.beta(8, 2, len(found.scores.target)) for method in drift_methods(PROTOCOL)}


PROVENANCE = Provenance(
    protocol=PROTOCOL,
    protocol_digest=protocol_digest(PROTOCOL),
    policy_digest=digest(POLICY),
    target_layer="layer4",
    device="cuda:0",
    torch_version="2.15.0",
    package_version="0.1.0",
)
