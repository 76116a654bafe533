"""The seeds page: a strip of dots per method, as in the paper's figure 4."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from case_monitor.dashboard.pages.seeds.study import MethodOverSeeds, SeedStudy, seed_study
from case_monitor.dashboard.pages.seeds.taking_part import DEFAULT_METRIC, SeedQuery
from case_monitor.dashboard.parts.charts import LIMIT, Figure, method_colour, method_symbol, rounded
from case_monitor.dashboard.parts.metric_words import direction, filled_in
from case_monitor.dashboard.shell.rendering import number, page
from case_monitor.dashboard.shell.resources import Held
from case_monitor.domain.methods import method_title
from case_monitor.domain.metrics import INSENSITIVE, named

pages = APIRouter()

_BINS, _STEP, _REACH = 50, 0.09, 0.3  # dots closer than a bin are moved apart by a step, within a method's strip


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedsPage:
    """The study with its chart; `titles` are of the metrics."""

    study: SeedStudy
    figure: Figure | None
    titles: dict[str, str]
    finding: str
    order: str


@pages.get("/seeds")
def show_seeds(
    request: Request,
    held: Held,
    model: str,
    versions: str = "",
    group: Annotated[str, Query(max_length=100)] = "",
    metric: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """A study of seeds."""
    root = request.scope.get("root_path", "")
    chosen = SeedQuery(model=model, versions=versions, group=group, metric=metric or DEFAULT_METRIC)
    return page(request, "seeds.html", chosen, lambda: with_strips(seed_study(held.engine, chosen), root))


def with_strips(study: SeedStudy, root: str) -> SeedsPage:
    """The study with its chart and in words; `root` is what addresses begin with."""
    return SeedsPage(
        study=study,
        figure=_strips(study, root) if any(m.n for m in study.methods) else None,
        titles={metric: metric_title(metric) for metric in study.metrics},
        finding=_finding(study),
        order=_order(study),
    )


def metric_title(metric: str) -> str:
    """What a metric is, in words.

    >>> metric_title("agreement_mean"), metric_title("confidence_drop_5")
    ('mean agreement', 'confidence drop, top 5% of the pixels')
    """
    found = named(metric)
    return filled_in(found.metric.axis, found.suffix) if found else metric


def stacked(values: list[float], width: float) -> list[float]:
    """Offsets that keep dots apart: the first of those closer than `width` in the middle, then up and down in turn.

    >>> stacked([0.1, 0.5, 0.1, 0.1], 0.05)
    [0.0, 0.0, 0.09, -0.09]
    """
    seen: dict[int, int] = {}
    offsets = []
    for value in values:
        bin_ = int(value // width) if width > 0 else 0
        place = seen.get(bin_, 0)
        seen[bin_] = place + 1
        offset = _STEP * ((place + 1) // 2) * (1 if place % 2 else -1)
        offsets.append(max(-_REACH, min(_REACH, offset)) + 0.0)
    return offsets


def _strips(study: SeedStudy, root: str) -> Figure:
    everything = [value for m in study.methods for value in m.values if value is not None]
    width = (max(everything) - min(everything)) / _BINS
    data = [_strip(study, m, y, width, root) for y, m in enumerate(study.methods)]
    data.append(_means(study))
    rows = {
        "tickmode": "array",
        "tickvals": list(range(len(study.methods))),
        "ticktext": [method_title(m.method) for m in study.methods],
        "range": [len(study.methods) - 0.4, -0.6],
        "zeroline": False,
    }
    layout: Figure = {
        "yaxis": rows,
        "showlegend": False,
        "height": 90 + 62 * len(study.methods),
        "hovermode": "closest",
    }
    layout["xaxis"] = {"title": {"text": metric_title(study.chosen.metric)}, "zeroline": False}
    if study.chosen.metric == "agreement_median":
        line = {"color": LIMIT, "dash": "dash", "width": 1}
        here = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": INSENSITIVE, "x1": INSENSITIVE, "line": line}
        layout["shapes"] = [here]
    return {"data": data, "layout": layout}


def _strip(study: SeedStudy, m: MethodOverSeeds, y: int, width: float, root: str) -> Figure:
    known = [(seed, value) for seed, value in zip(study.seeds, m.values, strict=True) if value is not None]
    offsets = stacked([value for _, value in known], width)
    return {
        "type": "scatter",
        "mode": "markers",
        "name": method_title(m.method),
        "x": [rounded(value) for _, value in known],
        "y": [rounded(y + offset) for offset in offsets],
        "marker": {"size": 9, "opacity": 0.75, "color": method_colour(m.method), "symbol": method_symbol(m.method)},
        "customdata": [[seed.version, f"{root}/evaluation/{seed.evaluation_id}"] for seed, _ in known],
        "hovertemplate": "version %{customdata[0]}: %{x:.3f}",
    }


def _means(study: SeedStudy) -> Figure:
    """Mean and SD below each strip."""
    known = [(y, m) for y, m in enumerate(study.methods) if m.mean is not None]
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "mean ± SD",
        "x": [rounded(m.mean) for _, m in known],
        "y": [y + 0.4 for y, _ in known],
        "error_x": {"type": "data", "array": [rounded(m.sd) for _, m in known], "thickness": 1.5, "width": 5},
        "marker": {"symbol": "line-ns-open", "size": 12, "color": "var(--ink)", "line": {"width": 2}},
        "customdata": [[f"n = {m.n}, SD {number(m.sd)}"] for _, m in known],
        "hovertemplate": "mean %{x:.3f}, %{customdata[0]}",
    }


def _finding(study: SeedStudy) -> str:
    known = [m for m in study.methods if m.mean is not None]
    if not known:
        return "No method has a defined value."
    best = (max if study.greater_is_better else min)(known, key=lambda m: m.mean or 0.0)
    spread = f" ± {number(best.sd)}" if best.sd is not None else ""
    return (
        f"Each dot is a version, the bar below is mean ± SD. {method_title(best.method)} has the best "
        f"{metric_title(study.chosen.metric)} over {best.n} {'version' if best.n == 1 else 'versions'}: "
        f"{number(best.mean)}{spread} ({direction(study.chosen.metric)})."
    )


def _order(study: SeedStudy) -> str:
    """How far the ranking depends on the seed."""
    if study.w is None:
        return (
            "Whether versions rank the methods alike cannot be said: that takes two or more versions in which every "
            "method has a value."
        )
    says = "the same order in every version" if study.w > 1 - 1e-9 else "1 is the same order in every version, 0 none"
    return f"Kendall's W over {study.ranked} versions and {len(study.methods)} methods: {number(study.w, 2)}; {says}."
