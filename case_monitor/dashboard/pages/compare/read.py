"""From what is stored of two versions to the comparison that a page shows."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

from fastapi import HTTPException
from sqlalchemy import Engine

from case_monitor.dashboard.pages.compare.changes import changed_contrasts, class_changes, map_pairs, page_of_classes
from case_monitor.dashboard.pages.compare.record import (
    CompareQuery,
    Comparison,
    DifferenceRow,
    Drift,
    Outcome,
    RuleLine,
    Side,
)
from case_monitor.dashboard.parts.latest import latest_of_versions
from case_monitor.dashboard.parts.metric_words import rule_words
from case_monitor.dashboard.parts.stored_settings import drop_suffixes
from case_monitor.domain.arrays import defined
from case_monitor.domain.metric import Metric
from case_monitor.domain.metrics import metrics_of
from case_monitor.domain.policy import vs_baseline
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.domain.verdict import ThresholdResult, Verdict
from case_monitor.settings import Settings
from case_monitor.store.comparison import Pair, StoredComparison, compare_stored, layers_of, pair_of
from case_monitor.store.read.champions import champion_and_last_look
from case_monitor.store.read.classes import class_names
from case_monitor.store.read.evaluation_list import (
    EvaluationLine,
    EvaluationSettings,
    evaluation_lines,
    evaluation_settings,
)
from case_monitor.store.read.summaries import overall_figures

MOST = 20
"""Classes in a list, before the table of all."""


def comparison(engine: Engine, settings: Settings, chosen: CompareQuery) -> Comparison:
    """Two versions of a model side by side.

    Raises:
        HTTPException: 404 for a model or version that was never evaluated; 400 for a method without pictures.
    """
    lines = evaluation_lines(engine, chosen.model)
    if not lines:
        raise HTTPException(404, f"no version of model {chosen.model!r} was evaluated")
    versions = tuple(line.version for line in latest_of_versions(lines))
    candidate, baseline = _versions(engine, settings, chosen, versions)
    same = candidate == baseline
    layers = layers_of(engine, lines, candidate) if same else ()
    pair = _between_layers(layers, chosen) if same else pair_of(lines, candidate, baseline)
    other = pair.baseline or next(line for line in lines if line.version == baseline)
    stored = evaluation_settings(engine, pair.candidate.id)
    found = compare_stored(engine, pair)
    names = class_names(engine, pair.candidate.id)
    changes = class_changes(found.summaries, names)
    shown, pages = page_of_classes(changes, chosen, candidate, baseline)
    contrasts = list(changed_contrasts(engine, pair, found.summaries, names))
    methods, method, maps = map_pairs(engine, pair.candidate, other, chosen.method, stored, names)
    return Comparison(
        chosen=chosen,
        model=chosen.model,
        versions=versions,
        layers=tuple(line.target_layer for line in layers) if len(layers) > 1 else (),
        candidate=_side(pair.candidate, named=len(layers) > 1),
        baseline=_side(other, named=len(layers) > 1),
        measured=pair.measured,
        comparable=pair.measured or pair.baseline is not None,
        missing=(*found.missing, *_why_not(pair, other)),
        verdict=found.verdict.status if found.verdict else None,
        sentence=found.verdict.sentence if found.verdict else None,
        rules=tuple(_rules(found.verdict, other.version)) if found.verdict else (),
        differences=tuple(_differences(engine, pair, found, stored)),
        drift=tuple(map(_drift, (s for s in found.summaries if s.metric == "baseline_agreement"))),
        better=tuple([c for c in reversed(changes) if (c.difference or 0) > 0][:MOST]),
        worse=tuple([c for c in changes if (c.difference or 0) < 0][:MOST]),
        classes_compared=sum(c.difference is not None for c in changes),
        all_classes=tuple(shown),
        pages=pages,
        contrasts=tuple(contrasts[:MOST]),
        contrasts_changed=len(contrasts),
        methods=methods,
        method=method,
        maps=maps,
    )


def _versions(engine: Engine, settings: Settings, chosen: CompareQuery, known: Sequence[int]) -> tuple[int, int]:
    """Those asked for; without, the newest against the one in production, or against the one before it."""
    for version in (chosen.candidate, chosen.baseline):
        if version is not None and version not in known:
            raise HTTPException(404, f"version {version} of model {chosen.model!r} was not evaluated")
    candidate = chosen.candidate if chosen.candidate is not None else known[0]
    if chosen.baseline is not None:
        return candidate, chosen.baseline
    champion, _ = champion_and_last_look(engine, chosen.model, settings.alias)
    older = [version for version in known if version < candidate] or [v for v in known if v != candidate]
    if champion is not None and champion in known and champion != candidate:
        return candidate, champion
    return candidate, older[0] if older else candidate


def _between_layers(layers: Sequence[EvaluationLine], chosen: CompareQuery) -> Pair:
    """A version beside itself at another layer; where there is none, there is nothing to compare.

    Raises:
        HTTPException: 404 for a layer at which it was not evaluated.
    """
    known = {line.target_layer: line for line in layers}
    for layer in (chosen.layer, chosen.baseline_layer):
        if layer is not None and layer not in known:
            msg = f"version {layers[0].version} of model {chosen.model!r} at {layer!r} was not evaluated beside others"
            raise HTTPException(404, msg)
    candidate = known[chosen.layer] if chosen.layer is not None else layers[0]
    others = [line for line in layers if line is not candidate]
    baseline = known[chosen.baseline_layer] if chosen.baseline_layer is not None else next(iter(others), None)
    return Pair(candidate=candidate, baseline=None if baseline is candidate else baseline, measured=False)


def _side(line: EvaluationLine, *, named: bool) -> Side:
    return Side(
        version=line.version,
        layer=line.target_layer,
        title=f"{line.version} at {line.target_layer}" if named else str(line.version),
        evaluation_id=line.id,
        verdict=line.verdict,
        evaluated_at=line.evaluated_at,
        split_name=line.split_name,
    )


def _why_not(pair: Pair, other: EvaluationLine) -> Iterator[str]:
    """What keeps two evaluations apart."""
    if pair.baseline is not None:
        return
    if pair.candidate.version == other.version:
        yield f"Both are version {other.version}: choose another one."
        return
    differ = [
        what
        for what, same in (
            ("on another validation split", pair.candidate.split_digest == other.split_digest),
            ("under another protocol", pair.candidate.protocol_digest == other.protocol_digest),
        )
        if not same
    ]
    how = f"{' and '.join(differ)} than version {pair.candidate.version}"
    if pair.measured:
        yield f"Version {other.version} is stored {how} only, so its own figures and classes are not shown beside."
    else:
        yield (
            f"Version {other.version} was evaluated {how}, never on the same images in the same way: figures of "
            "different images say nothing about the versions. Evaluate both on the same split under the same protocol."
        )


def _differences(
    engine: Engine, pair: Pair, found: StoredComparison, stored: EvaluationSettings
) -> Iterator[DifferenceRow]:
    """Of every metric that has a label for it."""
    known = metrics_of(drop_suffixes(stored), stored.methods)
    metrics = {name: stored.methods if m.of_methods else ("",) for name, m in known.items() if m.label}
    ids = [line.id for line in (pair.candidate, pair.baseline) if line is not None]
    own = overall_figures(engine, ids, metrics)
    overall = {(s.metric, s.method): s for s in found.summaries if s.class_idx is None}
    for metric, methods in metrics.items():
        for method in methods:
            row = overall.get((vs_baseline(metric), method))
            if row is not None:
                values = [own.get((metric, method), {}).get(i) for i in ids]
                yield _difference(known[metric], row, [defined(v.value) if v else None for v in values], found.verdict)


def _difference(
    metric: Metric, row: MetricSummary, values: Sequence[float | None], verdict: Verdict | None
) -> DifferenceRow:
    greater = metric.greater_is_better
    p = row.p_value if math.isnan(row.p_adjusted) else row.p_adjusted
    return DifferenceRow(
        metric=metric.name,
        method=row.method,
        candidate=values[0],
        baseline=values[1] if len(values) > 1 else None,
        difference=defined(row.value),
        ci_low=defined(row.ci_low),
        ci_high=defined(row.ci_high),
        p_value=defined(p),
        n=row.n,
        greater_is_better=greater,
        margin=next((r.threshold.limit for r in _of_rule(verdict, row)), None),
        outcome=_outcome(row, greater_is_better=greater),
    )


def _of_rule(verdict: Verdict | None, row: MetricSummary) -> Iterator[ThresholdResult]:
    for result in verdict.results if verdict else ():
        if (result.threshold.metric, result.method or "", result.class_idx) == (row.metric, row.method, None):
            yield result


def _outcome(row: MetricSummary, *, greater_is_better: bool) -> Outcome:
    if not math.isfinite(row.ci_low) or not math.isfinite(row.ci_high):
        return Outcome.UNDEFINED
    if row.ci_low > 0:
        return Outcome.BETTER if greater_is_better else Outcome.WORSE
    if row.ci_high < 0:
        return Outcome.WORSE if greater_is_better else Outcome.BETTER
    return Outcome.UNCLEAR


def _rules(verdict: Verdict, baseline: int) -> Iterator[RuleLine]:
    """The verdict rule by rule; the classes of a rule per class counted."""
    for rule, group in groupby(verdict.results, key=lambda result: result.threshold):
        results = list(group)
        yield RuleLine(
            rule=rule_words(
                rule.metric,
                rule.limit,
                greater_is_better=rule.greater_is_better,
                method=results[0].method,
                per_class=rule.per_class,
                baseline=baseline,
            ),
            severity=rule.severity,
            status=None if rule.per_class else results[0].status,
            reason="" if rule.per_class else results[0].reason,
            counts={s: sum(r.status is s for r in results) for s in Status} if rule.per_class else {},
        )


def _drift(row: MetricSummary) -> Drift:
    return Drift(
        method=row.method, value=defined(row.value), ci_low=defined(row.ci_low), ci_high=defined(row.ci_high), n=row.n
    )
