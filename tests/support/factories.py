"""Small, seeded, internally consistent records for the tests of the outer layers."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from case_monitor.domain.alert import Alert
from case_monitor.domain.confusion_matrix import ClassMetrics, ConfusionMatrix
from case_monitor.domain.contrast_sets import ContrastMember, ContrastSets, ContrastSource
from case_monitor.domain.digests import digest
from case_monitor.domain.evaluation import Evaluation, Provenance
from case_monitor.domain.evidence import Evidence
from case_monitor.domain.gallery import Gallery, ModelInputs
from case_monitor.domain.model_version import ModelVersion
from case_monitor.domain.policy import PAPER_THRESHOLDS, Policy, Rule, Severity
from case_monitor.domain.predictions import Predictions
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.scores import SampleScores
from case_monitor.domain.split import Split
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult, Verdict
from case_monitor.judging.predicted_split import predicted_classes

METHODS = ("case", "gradcam", "gradcam++", "scorecam", "ablationcam", "layercam")


def contrast_scores(
    methods: Sequence[str], n: int, seed: int, *, pair: float = 1.5, shown: float = 0.5, fidelity: float = 0.5
) -> dict[tuple[str, str], np.ndarray]:
    """Scores in the margin of logits, in SDs, and of places; people are shown the first method."""
    rng = np.random.default_rng([seed, 99])
    values = {(methods[0], "fidelity_margin"): rng.normal(fidelity, 1, n)}
    for method, name, right in (("", "pair", pair), (methods[0], "shown", shown)):
        c = rng.normal(right, 1, n)
        one_sided = np.zeros(n)
        c[:2], one_sided[:2] = np.nan, 1.0
        c[2:3] = 0.0
        values[method, f"{name}_margin"], values[method, f"{name}_one_sided"] = c, one_sided
    values["", "position"], values["", "class_position"] = rng.beta(3, 7, n), rng.beta(5, 5, n)
    return values


def an_evaluation(
    *,
    name: str = "digits",
    version: int = 1,
    class_names: tuple[str, ...] = ("cat", "dog", "<script>alert(1)</script>", 'quo"te'),
    num_samples: int = 40,
    seed: int = 0,
    baseline: ModelVersion | None = None,
    status: Status = Status.FAIL,
) -> Evaluation:
    """An evaluation whose scores are random but whose parts agree with each other in size and range."""
    rng = np.random.default_rng(seed)
    num_classes = len(class_names)
    target = np.arange(num_samples) % num_classes
    logits = rng.normal(size=(num_samples, num_classes)).astype(np.float32)
    logits[np.arange(num_samples), target] += 2.0
    ids = tuple(f"img-{i:03d}" for i in range(num_samples))
    preds = predicted_classes(Predictions(sample_ids=ids, logits=logits, target=target.astype(np.int64)))
    counts = np.zeros((num_classes, num_classes), dtype=np.int64)
    np.add.at(counts, (target, preds.preds), 1)
    soft = rng.dirichlet(np.ones(num_classes), num_classes)
    correct = np.flatnonzero(preds.preds == target)
    n = len(correct)
    values = {}
    for i, method in enumerate(METHODS):
        agreement = np.clip(rng.beta(2 + i, 4, n), 0, 1)
        agreement[: i % 3] = np.nan
        values[method, "agreement"] = agreement
        for area in ("50", "5"):
            values[method, f"confidence_drop_{area}"] = rng.normal(0.4, 0.2, n).clip(-1, 1)
            values[method, f"random_drop_{area}"] = rng.normal(0.2, 0.2, n).clip(-1, 1)
    values["random", "agreement"] = rng.beta(2, 30, n)
    values |= contrast_scores(METHODS, n, seed)
    scores = SampleScores(
        sample_ids=tuple(preds.sample_ids[i] for i in correct),
        target=target[correct],
        top2=(target[correct] + 1) % num_classes,
        confidence=rng.uniform(0.4, 1, n),
        values=values,
    )
    members = tuple(
        tuple(
            ContrastMember(
                target_class=u,
                rank=rank,
                class_idx=(u + rank + 1) % num_classes,
                source=ContrastSource.OBSERVED if rank == 0 else ContrastSource.SOFT,
                count=2 if rank == 0 else 0,
                weight=0.1,
            )
            for rank in range(min(2, num_classes - 1))
        )
        for u in range(num_classes)
    )
    threshold = Rule(metric="agreement_median", method="gate", limit=0.5, greater_is_better=False)
    result = ThresholdResult(
        threshold=threshold,
        method="case",
        class_idx=None,
        status=status,
        observed=0.9,
        ci_low=0.88,
        ci_high=0.93,
        n=n,
        reason="0.900 [0.880, 0.930] lies above the limit 0.5",
    )
    alert = Alert(
        rule="agreement_median",
        method="case",
        class_idx=None,
        severity=Severity.BLOCK,
        status=status,
        observed=0.9,
        limit=0.5,
        message="CASE maps look the same for the first and the second class.",
        advice="Look at the gallery.",
    )
    return Evaluation(
        model=ModelVersion(name=name, version=version, run_id="r1", digest=f"{version:064x}"),
        split=Split(name="val", digest="5" * 64, class_names=class_names, size=num_samples),
        baseline=baseline,
        policy=Policy(thresholds=PAPER_THRESHOLDS),
        provenance=Provenance(
            protocol=Protocol(),
            protocol_digest="a" * 64,
            policy_digest="b" * 64,
            target_layer="features",
            device="cpu",
            torch_version="2.15.0",
            package_version="0.1.0",
        ),
        preds=preds,
        confmat=ConfusionMatrix(counts=counts, soft=soft),
        class_metrics=tuple(
            ClassMetrics(
                class_idx=u,
                support=int(counts[u].sum()),
                precision=0.8,
                recall=0.75 if u else float("nan"),
                f1=0.77,
                recall_ci_low=0.6,
                recall_ci_high=0.9,
                active_channels=12.5 + u,
            )
            for u in range(num_classes)
        ),
        contrast_sets=ContrastSets(contrast_k=2, members=members),
        scores=scores,
        summaries=_summaries(n, num_classes, rng),
        verdict=Verdict(status=status, sentence="Version 1 is withheld: maps do not differ.", results=(result,)),
        alerts=() if status is Status.PASS else (alert,),
        duration_s=1.5,
    )


def _summaries(n: int, num_classes: int, rng: np.random.Generator) -> tuple[MetricSummary, ...]:
    rows = [MetricSummary(metric="accuracy", method="", value=0.9, n=80, ci_low=0.82, ci_high=0.95)]
    for method in METHODS:
        for metric in (
            "agreement_mean",
            "agreement_median",
            "agreement_degenerate_rate",
            "confidence_drop_50",
            "confidence_drop_50_vs_random",
            "confidence_drop_5",
            "confidence_drop_5_vs_random",
        ):
            value = float(rng.uniform(0.1, 0.6))
            row = MetricSummary(
                metric=metric,
                method=method,
                value=value,
                n=n,
                n_undefined=1,
                ci_low=value - 0.05,
                ci_high=value + 0.05,
                sd=0.1,
                p_value=0.01,
                p_adjusted=0.06,
                effect_size=-0.4,
                test="wilcoxon",
            )
            rows.append(row)
        rows += [
            MetricSummary(metric="agreement_median", method=method, class_idx=u, value=0.3, n=n // num_classes)
            for u in range(num_classes)
        ]
    rows.append(MetricSummary(metric="agreement_mean", method="random", value=0.06, n=n))
    # A figure that could not be computed, as NaN.
    return (*rows, replace(rows[0], metric="accuracy_vs_baseline", value=float("nan"), n=0))


def some_evidence(evaluation: Evaluation, *, second: int = 0) -> Evidence:
    """What MLflow would be told of it, made at a second of a minute."""
    return Evidence(
        model_name=evaluation.model.name,
        version=evaluation.model.version,
        key=digest(evaluation.key),
        made_at=datetime(2026, 11, 23, 2, 0, second, tzinfo=UTC),
        metrics={"accuracy": 0.75},
        run_tags={"case_monitor.verdict": "fail"},
        version_tags={"case_monitor.reason": "because"},
        files=b"a ZIP archive",
    )


def a_gallery(evaluation: Evaluation, *, side: int = 32, rows: int = 4) -> Gallery:
    """Blob images with maps; the last method's last map is all zero, as degenerate maps are."""
    rng = np.random.default_rng(1)
    maps = {}
    yy, xx = np.mgrid[:side, :side]
    for method in evaluation.scores.methods:
        if method == "random":
            continue
        centre = rng.uniform(6, side - 6, (rows, 2, 2))
        stack = [[np.exp(-((yy - cy) ** 2 + (xx - cx) ** 2) / 30.0) for cy, cx in pair] for pair in centre]
        maps[method] = np.asarray(stack, dtype=np.float32)
    maps["layercam"][-1, 1] = 0
    images = rng.integers(0, 255, (rows, side, side, 3), dtype=np.uint8)
    return Gallery(
        sample_ids=evaluation.scores.sample_ids[:rows],
        images=images,
        inputs=ModelInputs(pixels=images[..., ::-1], means=np.array([0.25, -1.0, 3.0]), sds=np.array([1.0, 0.5, 2.0])),
        target=evaluation.scores.target[:rows],
        top2=evaluation.scores.top2[:rows],
        maps=maps,
    )
