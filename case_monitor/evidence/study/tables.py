"""The paper's Tables I, II and III over the models of a study, each figure beside what it takes to read it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from case_monitor.domain.diagnostics import RANDOM_MAP, SCORES, VS_RANDOM, Score
from case_monitor.domain.methods import method_title
from case_monitor.domain.status import Status
from case_monitor.domain.summary import MetricSummary
from case_monitor.evidence.study.cells import StudyCell, columns, data_sets, methods_of
from case_monitor.judging.distributions import mean_by_contrast

ALPHA = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What stands in one place of a table.

    Attributes:
        text: the figure that the paper prints there.
        detail: what it takes to read it.
        strong: bold, as the paper has what is significant.
    """

    text: str
    detail: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyTable:
    """A table: `rows` are a name and an entry for each of `heads`."""

    key: str
    title: str
    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Entry, ...]], ...]


def study_tables(cells: Sequence[StudyCell]) -> tuple[StudyTable, ...]:
    """All tables of a study, data set by data set."""
    return tuple(table for data in data_sets(cells) for table in _of_data(cells, data))


def _of_data(cells: Sequence[StudyCell], data: str) -> Iterator[StudyTable]:
    main, further = tuple(columns(cells, data)), tuple(columns(cells, data, further=True))
    if main:
        yield _sensitivity(main, f"table-1-{data}", f"Table I, {data}: class sensitivity", layers=False)
    if further:
        yield _sensitivity(further, f"table-2-{data}", f"Table II, {data}: the same at another layer", layers=True)
    if main:
        for drop in dict.fromkeys(name for seeds in main for name in seeds[0].drops):
            yield _fidelity(main, data, drop)
        yield _gate((*main, *further), data)
        yield _arithmetic(main, data)
        for score in SCORES.values():
            if any(score.name == metric for seeds in main for metric, _ in seeds[0].figures):
                yield _diagnostic(main, data, score)


def _sensitivity(models: Sequence[tuple[StudyCell, ...]], key: str, title: str, *, layers: bool) -> StudyTable:
    caption = (
        "p of the one-sided Wilcoxon signed-rank test of “the median agreement of the first and the second class's top "
        "5% is 50% or more”, of the first seed, bold below 0.05, as in the paper. Below: Holm's p over the methods; "
        "the median with its 95% interval; images with maps of both classes, and the share without; in how many seeds "
        "Holm's p is below 0.05."
    )
    rows = [
        *_rows(models, lambda seeds, method: _sensitive(seeds, method)),
        ("two random maps", tuple(_chance(seeds) for seeds in models)),
        ("accuracy", tuple(_share(seeds, "accuracy") for seeds in models)),
    ]
    return StudyTable(key=key, title=title, caption=caption, heads=_heads(models, layers=layers), rows=tuple(rows))


def _fidelity(models: Sequence[tuple[StudyCell, ...]], data: str, drop: str) -> StudyTable:
    percent, _, blurred = drop.removeprefix("confidence_drop_").partition("_")
    caption = (
        f"Mean fall of the predicted class's probability (SD) when the top {percent}% of the pixels are "
        f"{'blurred' if blurred else 'replaced by the mean colour'}, of the first seed; bold is a model's largest. "
        "Below: p of the two-sided paired t-test against CASE on the same images, and Holm's; the mean with its 95% "
        "interval beyond that of as many random pixels, which an explanation has to beat."
    )
    rows = _rows(models, lambda seeds, method: _faithful(seeds, method, drop))
    title = f"Table III, {data}: fidelity, top {percent}%{', blurred' if blurred else ''}"
    key = f"table-3-{drop.removeprefix('confidence_drop_')}-{data}"
    return StudyTable(key=key, title=title, caption=caption, heads=_heads(models), rows=tuple(rows))


def _gate(models: Sequence[tuple[StudyCell, ...]], data: str) -> StudyTable:
    caption = (
        "Of the first seed, with 95% intervals: in what share of the images the map of the first class against the "
        "second knows which is which, when what it marks is taken away (50% is chance); the same of the maps that "
        "people are shown; the fidelity of these in standard deviations over random pixels; how alike the places are "
        "that it looks at; and the verdicts of the policy, over all seeds."
    )
    named = (
        ("maps know their class", "pair_contrast"),
        ("shown maps know it", "shown_contrast"),
        ("fidelity (SD)", "fidelity_dz"),
        ("one place for all", "position"),
        ("median agreement", "agreement_median"),
    )
    rows = [(words, tuple(_of_gate(seeds[0], metric) for seeds in models)) for words, metric in named]
    rows.append(("passes the gate", tuple(_passes(seeds) for seeds in models)))
    rows.append(("active channels", tuple(_active(seeds) for seeds in models)))
    rows.append(("seconds a cell", tuple(Entry(text=f"{np.mean([c.seconds for c in s]):.0f}") for s in models)))
    title = f"What the gate asks, {data}"
    return StudyTable(
        key=f"gate-{data}", title=title, caption=caption, heads=_heads(models, layers=True), rows=tuple(rows)
    )


def _arithmetic(models: Sequence[tuple[StudyCell, ...]], data: str) -> StudyTable:
    caption = (
        "Mean agreement over the images of all seeds where the first and the second class are in each other's contrast "
        "set, against where neither is in the other's; where one is, images are left out. In the first case CASE takes "
        "the other class's gradient out of both maps, so that they must differ, whatever the model knows; the other "
        "methods know no contrast set."
    )
    rows = _rows(models, _by_contrast)
    title = f"What agreement owes to contrast sets, {data}"
    return StudyTable(key=f"arithmetic-{data}", title=title, caption=caption, heads=_heads(models), rows=tuple(rows))


def _diagnostic(models: Sequence[tuple[StudyCell, ...]], data: str, score: Score) -> StudyTable:
    better = "Higher is better." if score.greater_is_better else "Lower is better."
    caption = (
        f"{score.words[0].upper()}{score.words[1:]}; mean over the images of the first seed. {better} Below: its 95% "
        "interval and the number of images; Holm's p that it is better than that of a random map of the same image."
    )
    rows = [*_rows(models, lambda seeds, method: _diagnosed(seeds[0], method, score))]
    if score.with_random:
        rows.append(("random maps", tuple(_diagnosed(seeds[0], RANDOM_MAP, score) for seeds in models)))
    title = f"{score.title}, {data}"
    key = f"{score.name.replace('_', '-')}-{data}"
    return StudyTable(key=key, title=title, caption=caption, heads=_heads(models), rows=tuple(rows))


def _diagnosed(cell: StudyCell, method: str, score: Score) -> Entry:
    found = cell.figure(score.name, method)
    if found is None or not math.isfinite(found.value):
        return Entry(text="–", detail="" if found is None else f"n = {found.n}")
    bounds = f"{found.ci_low:.4f} to {found.ci_high:.4f}" if math.isfinite(found.ci_low) else "no interval"
    beyond = cell.figure(f"{score.name}{VS_RANDOM}", method)
    than = f"; Holm {paper_p(beyond.p_adjusted)}" if beyond is not None else ""
    return Entry(text=f"{found.value:.4f}", detail=f"{bounds}; n = {found.n}{than}")


def _rows(
    models: Sequence[tuple[StudyCell, ...]], entry: Callable[[tuple[StudyCell, ...], str], Entry]
) -> Iterator[tuple[str, tuple[Entry, ...]]]:
    names = methods_of([cell for seeds in models for cell in seeds])
    for method in sorted(names, key=lambda name: method_title(name).lower()):
        yield method_title(method), tuple(entry(seeds, method) for seeds in models)


def _heads(models: Sequence[tuple[StudyCell, ...]], *, layers: bool = False) -> tuple[str, ...]:
    return tuple(_head(seeds[0], layers=layers) for seeds in models)


def _head(cell: StudyCell, *, layers: bool) -> str:
    """Figures are of the first seed, unless that is missing."""
    other = "" if cell.seed == 1 else f" (seed {cell.seed})"
    return f"{cell.title}{other}: {cell.layer}" if layers else f"{cell.title}{other}"


def _sensitive(seeds: tuple[StudyCell, ...], method: str) -> Entry:
    found = seeds[0].figure("agreement_median", method)
    if found is None:
        return Entry(text="–")
    rate = seeds[0].figure("agreement_degenerate_rate", method)
    without = f", {rate.value:.0%} without" if rate is not None else ""
    detail = f"Holm {paper_p(found.p_adjusted)}; {_interval(found)}; n = {found.n}{without}"
    if len(seeds) > 1:
        detail += f"; {rejections(seeds, method)} of {len(seeds)} seeds"
    return Entry(text=paper_p(found.p_value), detail=detail, strong=found.p_value < ALPHA)


def rejections(seeds: Sequence[StudyCell], method: str) -> int:
    """In how many seeds Holm's p is below 0.05: "insufficient" rejects nothing."""
    found = [cell.figure("agreement_median", method) for cell in seeds]
    return sum(row is not None and row.p_adjusted < ALPHA for row in found)


def _chance(seeds: tuple[StudyCell, ...]) -> Entry:
    found = seeds[0].figure("agreement_mean", "random")
    return Entry(text="–" if found is None else f"{found.value:.0%}", detail="their mean agreement: chance")


def _share(seeds: tuple[StudyCell, ...], metric: str) -> Entry:
    found = seeds[0].figure(metric)
    if found is None:
        return Entry(text="–")
    others = [cell.figure(metric) for cell in seeds]
    values = [row.value for row in others if row is not None]
    spread = f"; {min(values):.1%} to {max(values):.1%} over seeds" if len(values) > 1 else ""
    return Entry(text=f"{found.value:.1%}", detail=f"{seeds[0].data}, {found.n} images{spread}")


def _faithful(seeds: tuple[StudyCell, ...], method: str, drop: str) -> Entry:
    cell = seeds[0]
    found = cell.figure(drop, method)
    if found is None:
        return Entry(text="–")
    of_all = [row.value for m in cell.methods if (row := cell.figure(drop, m)) is not None]
    best = math.isfinite(found.value) and found.value >= np.nanmax(of_all)
    parts = []
    against = cell.figure(f"{drop}_vs_case", method)
    if against is not None:
        parts.append(f"p {paper_p(against.p_value)}, Holm {paper_p(against.p_adjusted)}")
    beyond = cell.figure(f"{drop}_vs_random", method)
    if beyond is not None:
        parts.append(f"beyond random {beyond.value:+.3f} ({beyond.ci_low:+.3f} to {beyond.ci_high:+.3f})")
    return Entry(text=f"{found.value:.4f} ({found.sd:.4f})", detail="; ".join(parts), strong=best)


def _of_gate(cell: StudyCell, metric: str) -> Entry:
    method = cell.gate_method if (metric, cell.gate_method) in cell.figures else ""
    found = cell.figure(metric, method)
    if found is None or not math.isfinite(found.value):
        return Entry(text="–")
    bounds = f"{found.ci_low:.2f} to {found.ci_high:.2f}" if math.isfinite(found.ci_low) else "no interval"
    return Entry(text=f"{found.value:.2f}", detail=f"{bounds}; n = {found.n}")


def _passes(seeds: tuple[StudyCell, ...]) -> Entry:
    passed, open_ = (sum(cell.status is status for cell in seeds) for status in (Status.PASS, Status.INSUFFICIENT))
    return Entry(text=f"{passed} of {len(seeds)}", detail=f"{open_} without enough evidence" if open_ else "")


def _active(seeds: tuple[StudyCell, ...]) -> Entry:
    values = seeds[0].active[np.isfinite(seeds[0].active)]
    if not values.size:
        return Entry(text="–")
    return Entry(
        text=f"{np.median(values):.1f}", detail=f"median over classes; {values.min():.1f} to {values.max():.1f}"
    )


def _by_contrast(seeds: tuple[StudyCell, ...], method: str) -> Entry:
    inside, outside = mean_by_contrast(
        [(cell.agreement(method), cell.scores.target, cell.scores.top2, cell.contrast) for cell in seeds]
    )
    if not inside.n or not outside.n:
        return Entry(text="–", detail=f"{inside.n} and {outside.n} images")
    detail = f"{inside.mean:.0%} (n = {inside.n}) and {outside.mean:.0%} (n = {outside.n})"
    points = round(100 * (inside.mean - outside.mean))
    text = "the same" if not points else f"{abs(points)} points {'higher' if points > 0 else 'lower'}"
    return Entry(text=text, detail=detail)


def _interval(found: MetricSummary) -> str:
    if not math.isfinite(found.value):
        return "no median"
    return f"median {found.value:.0%} ({found.ci_low:.0%} to {found.ci_high:.0%})"


def paper_p(p: float) -> str:
    """A p value as the paper prints it.

    Example:
        >>> paper_p(1.0), paper_p(0.8734), paper_p(1e-9), paper_p(float("nan"))
        ('1.', '.8734', '< .0001', 'insufficient')
    """
    if math.isnan(p):
        return "insufficient"
    if p < 0.0001:
        return "< .0001"
    return "1." if p > 0.99995 else f"{p:.4f}".removeprefix("0")
