"""Which findings of the paper show up in a study, in sentences with the figures that say so."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.methods import method_title
from case_monitor.domain.status import Status
from case_monitor.evidence.study.cells import StudyCell, columns, data_sets, methods_of
from case_monitor.evidence.study.tables import ALPHA, rejections
from case_monitor.judging.rank_agreement import kendalls_w


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What the paper says, and what came here."""

    paper: str
    here: str


def study_findings(cells: Sequence[StudyCell]) -> tuple[Finding, ...]:
    """All that the cells can speak about."""
    main = [seeds for data in data_sets(cells) for seeds in columns(cells, data)]
    further = [seeds for data in data_sets(cells) for seeds in columns(cells, data, further=True)]
    found = [*_sensitivity(main), *_layers(main, further), *_seeds(main), *_fidelity(main), *_gate(main)]
    return tuple(found)


def _sensitivity(models: Sequence[tuple[StudyCell, ...]]) -> Iterator[Finding]:
    if not models:
        return
    counted = [f"{method_title(m)} {_rejected(models, m)}" for m in methods_of([c for s in models for c in s])]
    yield Finding(
        paper="CASE alone rejects “median agreement of 50% or more” for every architecture (Table I).",
        here=f"Rejected after Holm's correction, in models and seeds: {', '.join(counted)}.",
    )


def _rejected(models: Sequence[tuple[StudyCell, ...]], method: str) -> str:
    return f"{sum(rejections(seeds, method) for seeds in models)} of {sum(map(len, models))}"


def _layers(main: Sequence[tuple[StudyCell, ...]], further: Sequence[tuple[StudyCell, ...]]) -> Iterator[Finding]:
    at = {seeds[0].model: seeds for seeds in main}
    sentences = []
    for seeds in further:
        first = at.get(seeds[0].model)
        if first is None:
            continue
        both = [m for m in methods_of([*first, *seeds]) if m != "case"]
        counts = [sum(rejections(of, m) for m in both) for of in (first, seeds)]
        of = [len(both) * len(column) for column in (first, seeds)]
        sentences.append(
            f"{seeds[0].title} on {seeds[0].data}: methods other than CASE reject in {counts[0]} of {of[0]} at "
            f"{first[0].layer}, in {counts[1]} of {of[1]} at {seeds[0].layer}"
        )
    if not sentences:
        return
    yield Finding(
        paper="The layer decides: DenseNet's last convolution rejects with all methods, its norm5 with two (Table II).",
        here="; ".join(sentences) + ".",
    )


def _seeds(models: Sequence[tuple[StudyCell, ...]]) -> Iterator[Finding]:
    several = [seeds for seeds in models if len(seeds) > 1]
    if not several:
        return
    parts = [f"{s[0].title} on {s[0].data} {seed_concordance(s):.2f} ({len(s)} seeds)" for s in several]
    yield Finding(
        paper="The order of the methods by mean agreement stays over five training seeds (Fig. 4).",
        here=f"Kendall's W over seeds, 1 is the same order in each, 0 none: {', '.join(parts)}.",
    )


def seed_concordance(seeds: Sequence[StudyCell]) -> float:
    """Kendall's W of the methods by mean agreement over seeds; NaN where a method has none in one of them."""
    ratings = mean_agreement(seeds)
    return kendalls_w(ratings) if np.isfinite(ratings).all() else float("nan")


def mean_agreement(seeds: Sequence[StudyCell]) -> FloatArray:
    """(seeds, methods) mean agreement; NaN where there is none."""
    rows = [[cell.figure("agreement_mean", method) for method in cell.methods] for cell in seeds]
    return np.array([[float("nan") if found is None else found.value for found in row] for row in rows])


def _fidelity(models: Sequence[tuple[StudyCell, ...]]) -> Iterator[Finding]:
    more: dict[str, int] = {}
    less: dict[str, int] = {}
    total = 0
    for cell in (cell for seeds in models for cell in seeds):
        for method in cell.methods if cell.drops else ():
            found = cell.figure(f"{cell.drops[0]}_vs_case", method)
            if found is None:
                continue
            total += 1
            if found.p_adjusted < ALPHA:
                where = more if found.value > 0 else less
                where[method] = where.get(method, 0) + 1
    if not total:
        return
    yield Finding(
        paper="The fall in confidence is mostly like CASE's: three higher on VGG, two lower on ConvNeXt (Table III).",
        here=(
            f"Of {total} comparisons, after Holm's correction, {sum(more.values())} are higher than CASE's"
            f"{_which(more)}, and {sum(less.values())} lower{_which(less)}."
        ),
    )


def _which(counts: dict[str, int]) -> str:
    named = [f"{method_title(m)} {n}" for m, n in sorted(counts.items(), key=lambda item: -item[1])]
    return f" ({', '.join(named)})" if named else ""


def _gate(models: Sequence[tuple[StudyCell, ...]]) -> Iterator[Finding]:
    cells = [cell for seeds in models for cell in seeds]
    shares = [row.value for cell in cells if (row := cell.figure("pair_contrast")) is not None]
    low = [row.ci_low > 0.5 for cell in cells if (row := cell.figure("pair_contrast")) is not None]
    if shares:
        yield Finding(
            paper="Not asked: whether maps that differ know which class they are of.",
            here=(
                f"The map of one class against the other knows which is which in {np.nanmedian(shares):.0%} of the "
                f"images (median over {len(shares)} cells; {np.nanmin(shares):.0%} to {np.nanmax(shares):.0%}; chance "
                f"50%), surely more often than chance in {sum(low)}. Of {len(cells)} cells, "
                f"{sum(c.status is Status.PASS for c in cells)} pass the policy, and for "
                f"{sum(c.status is Status.INSUFFICIENT for c in cells)} there is not enough evidence."
            ),
        )
