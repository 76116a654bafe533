"""The same training with several seeds: how much do the figures of each method, and their order, depend on the seed?"""

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from fastapi import HTTPException
from scipy.stats import rankdata
from sqlalchemy import Engine

from case_monitor.dashboard.pages.seeds.version_ranges import VersionRanges
from case_monitor.dashboard.parts.latest import latest_of_versions
from case_monitor.dashboard.parts.stored_settings import confidence_level, diagnostics_of, drop_suffixes
from case_monitor.domain.arrays import UNDEFINED, defined
from case_monitor.domain.metrics import metrics_of
from case_monitor.domain.summary import MetricSummary
from case_monitor.judging.rank_agreement import kendalls_w
from case_monitor.store.read.evaluation_list import (
    EvaluationLine,
    EvaluationSettings,
    evaluation_lines,
    evaluation_settings,
)
from case_monitor.store.read.summaries import adjusted_p_values, overall_figures

DEFAULT_VERSIONS, MOST = 20, 100
DEFAULT_METRIC = "agreement_mean"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedQuery:
    """Whose seeds; `versions` as in `VersionRanges`, empty for the last ones."""

    model: str
    versions: str = ""
    metric: str = DEFAULT_METRIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One version, by the evaluation that is on the same split under the same protocol as the others'."""

    version: int
    evaluation_id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A version that does not take part, and why."""

    version: int
    why: str


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

    `alpha` is the level at which p, adjusted by Holm over the methods, rejects.
    """

    chosen: SeedQuery
    model: str
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
    asked = _asked(chosen.versions)
    reference, seeds, left_out = _seeds(lines, asked)
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


def _asked(text: str) -> VersionRanges | None:
    if not text.strip():
        return None
    try:
        return VersionRanges.read(text)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


def _seeds(
    lines: Sequence[EvaluationLine], asked: VersionRanges | None
) -> tuple[EvaluationLine, list[Seed], list[LeftOut]]:
    """The evaluation that says on which split and under which protocol, those like it, and the versions without."""
    last = [line for line in latest_of_versions(lines) if asked is None or line.version in asked]
    if not last:
        raise HTTPException(400, "versions: some of the model's evaluated versions were expected, none of them came")
    reference = _reference([line for line in lines if asked is None or line.version in asked], most=asked is not None)
    alike = {
        line.version: line
        for line in reversed(lines)  # of a version evaluated twice the last counts
        if (line.split_digest, line.protocol_digest) == (reference.split_digest, reference.protocol_digest)
    }
    taking_part = [line.version for line in last if line.version in alike]
    if asked is None:
        taking_part = taking_part[:DEFAULT_VERSIONS]
    if len(taking_part) > MOST:
        raise HTTPException(400, f"versions: at most {MOST} were expected, {len(taking_part)} came")
    left_out = [_left_out(line, reference) for line in last if line.version not in alike]
    if asked is not None:
        unknown = asked.unknown(line.version for line in lines)
        left_out += [LeftOut(version=version, why="not evaluated") for version in unknown]
    seeds = [Seed(version=version, evaluation_id=alike[version].id) for version in sorted(taking_part)]
    return reference, seeds, sorted(left_out, key=lambda out: out.version)


def _reference(lines: Sequence[EvaluationLine], *, most: bool) -> EvaluationLine:
    """An evaluation on the split and under the protocol that versions have in common.

    Nights measure the version in production on data of its own, so the newest evaluation alone says little.

    Args:
        lines: the last saved first.
        most: take what most versions have in common, the newest if there are several; else the newest that two have.
    """
    versions: dict[tuple[str, str], set[int]] = {}
    for line in lines:
        versions.setdefault((line.split_digest, line.protocol_digest), set()).add(line.version)
    wanted = max(map(len, versions.values()))
    wanted = wanted if most else min(wanted, 2)
    return next(line for line in lines if len(versions[line.split_digest, line.protocol_digest]) >= wanted)


def _left_out(line: EvaluationLine, reference: EvaluationLine) -> LeftOut:
    whys = (
        ("on another split", line.split_digest == reference.split_digest),
        ("under another protocol", line.protocol_digest == reference.protocol_digest),
    )
    return LeftOut(version=line.version, why="evaluated " + " and ".join(why for why, same in whys if not same))


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
