"""Classes, contrast sets and pictures in the comparison of two versions."""

from collections.abc import Iterable, Iterator, Sequence

from fastapi import HTTPException
from sqlalchemy import Engine

from case_monitor.dashboard.pages.compare.record import ClassChange, CompareQuery, ContrastChange, MapPair
from case_monitor.dashboard.shell.paging import Pages, turn
from case_monitor.dashboard.shell.rendering import address
from case_monitor.domain.arrays import defined
from case_monitor.domain.contrast_sets import ContrastSets
from case_monitor.domain.policy import vs_baseline
from case_monitor.domain.summary import MetricSummary
from case_monitor.store.comparison import Pair
from case_monitor.store.read.contrast_sets import load_contrast_sets
from case_monitor.store.read.evaluation_list import EvaluationLine, EvaluationSettings
from case_monitor.store.read.gallery import gallery_entries

CLASSES_PER_PAGE = 100


def class_changes(summaries: Iterable[MetricSummary], names: dict[int, str]) -> list[ClassChange]:
    """Every class whose recall was compared, the worst first."""
    return sorted(_class_changes(summaries, names), key=_by_difference)


def _class_changes(summaries: Iterable[MetricSummary], names: dict[int, str]) -> Iterator[ClassChange]:
    for s in summaries:
        if s.metric == vs_baseline("recall") and s.class_idx is not None:
            yield ClassChange(
                class_idx=s.class_idx,
                name=names.get(s.class_idx, str(s.class_idx)),
                difference=defined(s.value),
                ci_low=defined(s.ci_low),
                ci_high=defined(s.ci_high),
                p_adjusted=defined(s.p_adjusted),
                n=s.n,
            )


def _by_difference(change: ClassChange) -> tuple[bool, float, int]:
    """The worst first, undefined ones last."""
    return change.difference is None, change.difference or 0.0, change.class_idx


def page_of_classes(
    changes: Sequence[ClassChange], chosen: CompareQuery, candidate: int, baseline: int
) -> tuple[Sequence[ClassChange], Pages | None]:
    """A page of all of them, where it is asked for."""
    if chosen.page is None:
        return (), None

    def address_of(page: int) -> str:
        versions = {"candidate": candidate, "baseline": baseline}
        return address("", model=chosen.model, **versions, method=chosen.method, page=page) + "#all-classes"

    return turn(changes, chosen.page, address_of, CLASSES_PER_PAGE)


def changed_contrasts(
    engine: Engine, pair: Pair, summaries: Iterable[MetricSummary], names: dict[int, str]
) -> Iterator[ContrastChange]:
    """Classes whose contrast sets differ, those that share least first."""
    rows = [s for s in summaries if s.metric == "contrast_jaccard" and s.class_idx is not None and s.value < 1]
    if not rows:
        return
    after = load_contrast_sets(engine, pair.candidate.id)
    before = load_contrast_sets(engine, pair.baseline.id) if pair.baseline else None
    for s in sorted(rows, key=lambda s: (s.value, s.class_idx)):
        u = s.class_idx or 0
        yield ContrastChange(
            class_idx=u,
            name=names.get(u, str(u)),
            jaccard=s.value,
            before=None if before is None else _members(before, u, names),
            after=_members(after, u, names),
        )


def _members(sets: ContrastSets, u: int, names: dict[int, str]) -> tuple[str, ...]:
    return tuple(names.get(member.class_idx, str(member.class_idx)) for member in sets.members[u])


def map_pairs(
    engine: Engine,
    candidate: EvaluationLine,
    baseline: EvaluationLine,
    asked: str | None,
    stored: EvaluationSettings,
    names: dict[int, str],
) -> tuple[tuple[str, ...], str | None, tuple[MapPair, ...]]:
    """Methods that have pictures in both galleries, the one shown, and the images that are in both."""
    if candidate.split_digest != baseline.split_digest:
        return (), None, ()
    ours = gallery_entries(engine, candidate.id)
    theirs = {entry.sample_id: entry for entry in gallery_entries(engine, baseline.id)}
    both = [(entry, theirs[entry.sample_id]) for entry in ours if entry.sample_id in theirs]
    methods = tuple(m for m in both[0][0].methods if m in both[0][1].methods) if both else ()
    if asked is not None and asked not in (*methods, *stored.methods):
        raise HTTPException(400, f"method: one of {', '.join(stored.methods)} was expected, {asked!r} came")
    first = stored.gate_method if stored.gate_method in methods else next(iter(methods), None)
    method = asked if asked in methods else first
    if method is None:
        return methods, None, ()
    return (
        methods,
        method,
        tuple(
            MapPair(
                sample_id=entry.sample_id,
                class_name=names.get(entry.target, str(entry.target)),
                candidate_position=entry.position,
                baseline_position=other.position,
                candidate_agreement=entry.agreement.get(method),
                baseline_agreement=other.agreement.get(method),
            )
            for entry, other in both
        ),
    )
