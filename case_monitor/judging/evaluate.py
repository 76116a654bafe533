"""The whole evaluation of one version: it is measured on the other side, and judged here."""

import time
from collections.abc import Sequence
from dataclasses import replace

import case_monitor
from case_monitor.domain.digests import digest, protocol_digest
from case_monitor.domain.errors import DataError
from case_monitor.domain.evaluation import Evaluation, LayerSource, Provenance
from case_monitor.domain.findings import Findings
from case_monitor.domain.policy import Policy
from case_monitor.domain.policy_check import check_policy
from case_monitor.domain.protocol import Protocol
from case_monitor.domain.split import Split
from case_monitor.judging.found import Found
from case_monitor.judging.layers import layer_notes, looks, worse_of
from case_monitor.judging.measurer import Subject
from case_monitor.judging.pairing import require_same_classes, require_same_question
from case_monitor.judging.trial import Trial, auto_layer


def evaluate(
    candidate: Subject,
    baseline: Subject | None,
    *,
    policy: Policy,
    protocol: Protocol,
    in_production: bool = False,
    notes: Sequence[str] = (),
) -> Findings:
    """Have a version measured, test what comes back, and judge.

    Args:
        candidate: the version to judge.
        baseline: the version in production, or None. Its images are the same, prepared as it wants them.
        policy: when to pass.
        protocol: how to measure.
        in_production: the candidate holds the alias; it fails only within the budget of false alarms over time.
        notes: what else is to be said with the verdict.

    Raises:
        ConfigError: the policy cannot be judged under this protocol.
        DataError: no images, or fewer than two classes, or classes that cannot be paired with the baseline's.
        ModelError: the model does not fit the data set.
    """
    check_policy(policy, protocol)
    split = candidate.split
    _require_images(split)
    if baseline is not None:
        require_same_classes(candidate.version, split, baseline.version, baseline.split)
        require_same_question(candidate, baseline)
    started = time.perf_counter()
    trial = Trial(policy, protocol, in_production=in_production)
    taken = looks(protocol.target_layer, candidate.declared_layer, lambda: auto_layer(candidate))
    judged = [trial.judged(candidate, baseline, look) for look in taken]
    chosen = worse_of([j.verdict for j in judged])
    worst, layers = judged[chosen], [j.found.layer for j in judged]
    production = (str(baseline.version), worst.base.layer) if baseline and worst.base else None
    of_layers = layer_notes(taken, layers, [j.verdict for j in judged], chosen, production)
    evaluation = Evaluation(
        model=candidate.version,
        split=split,
        baseline=baseline.version if baseline else None,
        policy=policy,
        provenance=_provenance(policy, protocol, taken[chosen].source, worst.found),
        preds=worst.found.preds,
        confmat=worst.found.predicted.confmat,
        class_metrics=worst.classes,
        contrast_sets=worst.found.contrasts,
        scores=worst.found.scores,
        summaries=worst.summaries,
        verdict=replace(
            worst.verdict, notes=(*of_layers, *worst.found.notes, *split.notes, *notes, *worst.verdict.notes)
        ),
        alerts=worst.alerts,
        in_production=in_production,
        duration_s=time.perf_counter() - started,
    )
    base_preds = worst.base_measured.preds if worst.base_measured else None
    return Findings(evaluation=evaluation, gallery=worst.found.gallery, baseline_preds=base_preds)


def _require_images(split: Split) -> None:
    if not split.size or split.num_classes < 2:
        msg = (
            f"split {split.name!r}: images of two or more classes were expected, "
            f"{split.size} of {split.num_classes} came"
        )
        raise DataError(msg)


def _provenance(policy: Policy, protocol: Protocol, source: LayerSource, found: Found) -> Provenance:
    measurer = found.subject.measurer
    return Provenance(
        protocol=protocol,
        protocol_digest=protocol_digest(protocol),
        policy_digest=digest(policy),
        target_layer=found.layer,
        layer_source=source,
        device=measurer.device,
        torch_version=measurer.torch_version,
        package_version=case_monitor.__version__,
        isolation=found.measurer.isolation,
    )
