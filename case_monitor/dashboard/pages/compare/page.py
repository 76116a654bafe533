"""Two versions of a model side by side, as the gate sees them."""

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from case_monitor.dashboard.pages.compare.read import comparison
from case_monitor.dashboard.pages.compare.record import CompareQuery, Comparison, DifferenceRow, Outcome
from case_monitor.dashboard.parts.charts import CONTROL, LIMIT, Figure, rounded
from case_monitor.dashboard.parts.metric_words import area_words
from case_monitor.dashboard.shell.rendering import page
from case_monitor.dashboard.shell.resources import Held
from case_monitor.domain.methods import method_title
from case_monitor.domain.metrics import named
from case_monitor.domain.status import Status

pages = APIRouter()
Version = Annotated[int, Query(le=2**31 - 1)] | Literal[""]

_LOOKS = {
    Outcome.BETTER: ("var(--pass)", "triangle-up"),
    Outcome.WORSE: ("var(--fail)", "triangle-down"),
    Outcome.UNCLEAR: (CONTROL, "circle"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparePage:
    """The comparison, and what is drawn of it; `labels` name the differences."""

    comparison: Comparison
    headline: str
    labels: tuple[str, ...]
    forest: Figure | None
    finding: str


@pages.get("/compare")
def show_comparison(
    request: Request,
    held: Held,
    model: str,
    candidate: Version = "",
    baseline: Version = "",
    layer: str = "",
    baseline_layer: str = "",
    method: str = "",
    classes: Annotated[int | None, Query(alias="page", ge=1, le=1_000_000)] = None,
) -> Response:
    """A candidate beside a baseline."""
    chosen = CompareQuery(
        model=model,
        candidate=None if candidate == "" else candidate,
        baseline=None if baseline == "" else baseline,
        layer=layer or None,
        baseline_layer=baseline_layer or None,
        method=method or None,
        page=classes,
    )
    return page(request, "compare.html", chosen, lambda: with_forest(comparison(held.engine, held.settings, chosen)))


def with_forest(found: Comparison) -> ComparePage:
    """The comparison with its chart, in words."""
    labels = tuple(map(_label, found.differences))
    drawn = [(label, row) for label, row in zip(labels, found.differences, strict=True) if row.difference is not None]
    return ComparePage(
        comparison=found,
        headline=_headline(found),
        labels=labels,
        forest=_forest(drawn) if drawn else None,
        finding=_finding(found.differences),
    )


def _headline(found: Comparison) -> str:
    if found.verdict is None:
        return "The gate would have nothing to say: see below what is missing."
    said = "The gate said" if found.measured else "The gate would say"
    verb = {
        Status.PASS: "passes beside",
        Status.FAIL: "fails beside",
        Status.INSUFFICIENT: "cannot be judged beside",
    }[found.verdict]
    return f"{said}: version {found.candidate.title} {verb} version {found.baseline.title}."


def _label(row: DifferenceRow) -> str:
    found = named(row.metric)
    area = area_words(found.suffix).removeprefix("top ").replace(" of the pixels", "") if found else ""
    what = found.metric.label.format(area=area) if found else row.metric
    return f"{what}, {method_title(row.method)}" if row.method else what


def _forest(drawn: list[tuple[str, DifferenceRow]]) -> Figure:
    """Differences with their intervals, one below the other, in the order of the table."""
    data = []
    for outcome, (colour, symbol) in _LOOKS.items():
        of = [(label, row) for label, row in drawn if row.outcome is outcome]
        if of:
            data.append(_trace(of, outcome, colour, symbol))
    limited = [(label, row.margin) for label, row in drawn if row.margin is not None]
    if limited:
        data.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": "allowed regression",
                "x": [margin for _, margin in limited],
                "y": [label for label, _ in limited],
                "marker": {"symbol": "line-ns-open", "size": 16, "color": LIMIT, "line": {"width": 2, "color": LIMIT}},
                "hovertemplate": "%{y}: at most %{x:.3f} is allowed<extra></extra>",
            }
        )
    zero = {"type": "line", "yref": "paper", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "line": {"width": 1, "color": CONTROL}}
    labels = [label for label, _ in drawn]
    rows = {
        "categoryorder": "array",
        "categoryarray": labels[::-1],
        "type": "category",
        "range": [-0.6, len(labels) - 0.4],
    }
    size = {"height": 110 + 24 * len(labels), "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom"}}
    return {"data": data, "layout": {"yaxis": rows, "xaxis": {"tickformat": ".2f"}, "shapes": [zero], **size}}


def _trace(of: list[tuple[str, DifferenceRow]], outcome: Outcome, colour: str, symbol: str) -> Figure:
    up, down = [], []
    for _, row in of:
        up.append(rounded((row.ci_high or 0.0) - (row.difference or 0.0)))
        down.append(rounded((row.difference or 0.0) - (row.ci_low or 0.0)))
    return {
        "type": "scatter",
        "mode": "markers",
        "name": outcome.value,
        "x": [rounded(row.difference) for _, row in of],
        "y": [label for label, _ in of],
        "error_x": {"type": "data", "symmetric": False, "array": up, "arrayminus": down, "thickness": 1.5, "width": 0},
        "marker": {"symbol": symbol, "size": 9, "color": colour},
        "customdata": [[f"[{row.ci_low or 0:+.3f}, {row.ci_high or 0:+.3f}], n = {row.n}"] for _, row in of],
        "hovertemplate": "%{y}: %{x:.3f} %{customdata[0]}",
    }


def _finding(rows: tuple[DifferenceRow, ...]) -> str:
    counts = {outcome: sum(row.outcome is outcome for row in rows) for outcome in Outcome}
    if not rows:
        return "No difference is known."
    undefined = f", {counts[Outcome.UNDEFINED]} undefined" if counts[Outcome.UNDEFINED] else ""
    return (
        f"Candidate minus baseline on the same images, with intervals: {counts[Outcome.BETTER]} of {len(rows)} figures "
        f"are better, {counts[Outcome.WORSE]} worse, {counts[Outcome.UNCLEAR]} may be unchanged{undefined}."
    )
