"""The same training with several seeds: how much do the figures of each method, and their order, depend on the seed?"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from fastapi import HTTPException
from scipy.stats import rankdata
from sqlalchemy import Engine

from case_monitor.dashboard.pages.seeds.taking_part import LeftOut, Seed, SeedQuery, taking_part
from case_monitor.dashboard.parts.stored_settings import confidence_level, diagnostics_of, drop_suffixes
from case_monitor.domain.arrays import UNDEFINED, defined
from case_monitor.domain.metrics import metrics_of
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.rank_agreement import kendalls_w
from case_monitor.store.read.evaluation_list import (
    EvaluationSettings,
    evaluation_lines,
    evaluation_settings,
)
from case_monitor.store.read.summaries import adjusted_p_values, overall_figures


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodOverSeeds:
    """A method over the seeds; `values` and `ranks` beside them, rank 1 is best.

    Attributes:
        mean, sd: over the `n` seeds with a defined value; SD with n - 1.
        rejects: seeds in which RQ1's null, "the median agreement is 0.5 or more", is rejected.
        tested: seeds in which it was tested.
    """

    method: str
    values: tuple[float | None, ...]
    ranks: tuple[float | None, ...]
    n: int
    mean: float | None
    sd: float | None
    rejects: int
    tested: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedStudy:
    """A study of seeds. `w` is Kendall's, over the `ranked` seeds in which every method has a value.

    `group` is what it is called, and `groups` all that the model has; where no version says that it belongs to one, and
    none is asked for, there are no `seeds`: versions that have nothing to do with each other are never pooled.

    `alpha` is the level at which p, adjusted by Holm over the methods, rejects.
    """

    chosen: SeedQuery
    model: str
    group: str | None
    groups: tuple[str, ...]
    metrics: tuple[str, ...]
    greater_is_better: bool
    seeds: tuple[Seed, ...]
    left_out: tuple[LeftOut, ...]
    split_name: str
    methods: tuple[MethodOverSeeds, ...]
    w: float | None
    ranked: int
    alpha: float


def seed_study(engine: Engine, chosen: SeedQuery) -> SeedStudy:
    """Compare versions that differ in the seed.

    Raises:
        HTTPException: 404 for an unknown model; 400 for versions or a metric that there are not.
    """
    lines = evaluation_lines(engine, chosen.model)
    if not lines:
        raise HTTPException(404, f"no version of model {chosen.model!r} was evaluated")
    groups = tuple(dict.fromkeys(line.seed_group for line in lines if line.seed_group is not None))
    if chosen.group and chosen.group not in groups:
        had = ", ".join(groups) or "none, as no version has the tag"
        raise HTTPException(400, f"group: one of the model's was expected ({had}), {chosen.group!r} came")
    reference, seeds, left_out = taking_part(lines, chosen, groups)
    stored = evaluation_settings(engine, reference.id)
    known = metrics_of(drop_suffixes(stored), stored.methods, diagnostics_of(stored))
    metrics = tuple(name for name, metric in known.items() if metric.axis)
    if chosen.metric not in metrics:
        raise HTTPException(400, f"metric: one of {', '.join(metrics)} was expected, {chosen.metric!r} came")
    ids = [seed.evaluation_id for seed in seeds]
    figures = overall_figures(engine, ids, {chosen.metric: stored.methods})
    p_values = adjusted_p_values(engine, ids, stored.methods)
    values = {m: _values(figures.get((chosen.metric, m), {}), ids) for m in stored.methods}
    greater, alpha = known[chosen.metric].greater_is_better, _alpha(stored)
    ranks, w = _ranks(values, greater_is_better=greater)
    return SeedStudy(
        chosen=chosen,
        model=chosen.model,
        group=reference.seed_group if seeds else None,
        groups=groups,
        metrics=metrics,
        greater_is_better=greater,
        seeds=tuple(seeds),
        left_out=tuple(left_out),
        split_name=reference.split_name,
        methods=tuple(
            _over_seeds(m, values[m], ranks[m], [defined(p_values.get((i, m), UNDEFINED)) for i in ids], alpha)
            for m in stored.methods
        ),
        w=w,
        ranked=len(_complete(values)),
        alpha=alpha,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedItem:
    """A method's value in one version, as a row of a file."""

    model: str
    group: str | None
    version: int
    evaluation_id: int
    metric: str
    method: str
    value: float | None
    rank: float | None


def seed_items(study: SeedStudy) -> tuple[SeedItem, ...]:
    """Version by version, each with every method."""
    return tuple(
        SeedItem(
            model=study.model,
            group=study.group,
            version=seed.version,
            evaluation_id=seed.evaluation_id,
            metric=study.chosen.metric,
            method=of.method,
            value=of.values[i],
            rank=of.ranks[i],
        )
        for i, seed in enumerate(study.seeds)
        for of in study.methods
    )


def _values(found: Mapping[int, MetricSummary], ids: Sequence[int]) -> tuple[float | None, ...]:
    return tuple(defined(found[i].value) if i in found else None for i in ids)


def _ranks(
    values: Mapping[str, Sequence[float | None]], *, greater_is_better: bool
) -> tuple[dict[str, list[float | None]], float | None]:
    """Of each method in each seed that has a value of every method; and whether the seeds rank alike."""
    complete = _complete(values)
    ranks: dict[str, list[float | None]] = {m: [None] * len(v) for m, v in values.items()}
    if not complete or len(values) < 2:
        return ranks, None
    table = np.array([[values[m][i] for m in values] for i in complete], dtype=np.float64)
    table = -table if greater_is_better else table
    for i, row in zip(complete, rankdata(table, axis=1), strict=True):
        for method, rank in zip(values, row, strict=True):
            ranks[method][i] = float(rank)
    w = kendalls_w(table)
    return ranks, None if math.isnan(w) else w


def _complete(values: Mapping[str, Sequence[float | None]]) -> list[int]:
    """Places of the seeds in which every method has a value."""
    return [i for i, of_seed in enumerate(zip(*values.values(), strict=True)) if None not in of_seed]


def _over_seeds(
    method: str,
    values: tuple[float | None, ...],
    ranks: Sequence[float | None],
    p_values: Sequence[float | None],
    alpha: float,
) -> MethodOverSeeds:
    defined = list(_defined(values))
    tested = list(_defined(p_values))
    return MethodOverSeeds(
        method=method,
        values=values,
        ranks=tuple(ranks),
        n=len(defined),
        mean=statistics.fmean(defined) if defined else None,
        sd=statistics.stdev(defined) if len(defined) > 1 else None,
        rejects=sum(p < alpha for p in tested),
        tested=len(tested),
    )


def _defined(values: Sequence[float | None]) -> Iterator[float]:
    return (value for value in values if value is not None)


def _alpha(stored: EvaluationSettings) -> float:
    """That of the intervals: 0.05, unless the policy says otherwise."""
    return round(1 - (confidence_level(stored) or 0.95), 12)
