"""Charts of one evaluation: fidelity against the random control, and channel activity."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

from case_monitor.dashboard.pages.evaluation.methods_table import FidelityCell, MethodsTable
from case_monitor.dashboard.parts.charts import BAND, CONTROL, Figure, method_colour, method_symbol
from case_monitor.domain.arrays import FloatArray
from case_monitor.domain.methods import method_title
from case_monitor.judging.distributions import density
from case_monitor.store.read.classes import StoredClass

MAX_NAME = 60
_LINE = "var(--case)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A figure, with what it shows in words."""

    title: str
    figure: Figure
    summary: str


def fidelity_charts(table: MethodsTable) -> tuple[Chart, ...]:
    """One per area: the mean drop of every method with its interval, and that of as many random pixels beside it."""
    return tuple(
        _fidelity_chart(table, place, area)
        for place, area in enumerate(table.areas)
        if any(row.cells[place].drop is not None for row in table.fidelity)
    )


def _fidelity_chart(table: MethodsTable, place: int, area: str) -> Chart:
    cells = {row.method: row.cells[place] for row in table.fidelity}
    titles = {m: f"{method_title(m)}{' (gate)' if m == table.gate_method else ''}" for m in cells}
    control = {
        "type": "scatter",
        "mode": "markers",
        "name": "as many random pixels",
        "x": [cell.control for cell in cells.values()],
        "y": [escape(title) for title in titles.values()],
        "marker": {"color": CONTROL, "symbol": "line-ns-open", "size": 14, "line": {"width": 2.5}},
        "hovertemplate": "random pixels: %{x:.3f}<extra></extra>",
    }
    data = [control, *(_drop_trace(m, titles[m], cell) for m, cell in cells.items() if cell.drop is not None)]
    layout = {
        "xaxis": {"title": {"text": "mean confidence drop"}, "rangemode": "tozero"},
        "yaxis": {"autorange": "reversed", "type": "category"},
        "legend": {"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        "margin": {"l": 56, "r": 16, "t": 34, "b": 48},
    }
    return Chart(title=f"Without the {area}", figure={"data": data, "layout": layout}, summary=_fidelity_words(cells))


def _drop_trace(method: str, title: str, cell: FidelityCell) -> Figure:
    value, low, high = cell.drop or 0.0, cell.ci_low, cell.ci_high
    known = low is not None and high is not None
    return {
        "type": "scatter",
        "mode": "markers",
        "name": escape(title),
        "showlegend": False,
        "x": [cell.drop],
        "y": [escape(title)],
        "marker": {"color": method_colour(method), "symbol": method_symbol(method), "size": 10},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [(high or 0.0) - value if known else 0],
            "arrayminus": [value - (low or 0.0) if known else 0],
            "visible": known,
            "thickness": 1.8,
        },
        "hovertemplate": f"{escape(title)}: %{{x:.3f}}, n = {cell.n}<extra></extra>",
    }


def _fidelity_words(cells: dict[str, FidelityCell]) -> str:
    judged = {m: cell for m, cell in cells.items() if cell.beyond_low is not None}
    beat = [m for m, cell in judged.items() if cell.beyond_low is not None and cell.beyond_low > 0]
    best = max((m for m in cells if cells[m].drop is not None), key=lambda m: cells[m].drop or 0.0)
    highest = f"The highest mean drop is that of {method_title(best)}, {cells[best].drop:.3f}."
    if not judged:
        return f"{highest} There are too few images to tell it from that of random pixels."
    others = [method_title(m) for m in judged if m not in beat]
    rest = f" (not {', '.join(others)})" if others and beat else ""
    count = f"{len(beat)} of {len(judged)} methods{rest}"
    return f"{highest} The pixels of {count} matter more to the model than random ones."


def activity_chart(activity: Sequence[StoredClass], threshold: float | None) -> Chart | None:
    """The distribution over classes of the mean number of active channels, with a stroke per class; None if undefined.

    Args:
        activity: of every class.
        threshold: above which a channel's pooled activation counts as active (tau).
    """
    defined = [(row.class_name, row.active_channels) for row in activity if math.isfinite(row.active_channels)]
    if not defined:
        return None
    values = np.array([value for _, value in defined], dtype=np.float64)
    curve, opacity = density(values), 0.7 if len(defined) <= 100 else 0.3
    below = 0.0 if curve is None else -0.05 * float(curve[1].max())
    rug = {
        "type": "scatter",
        "mode": "markers",
        "x": values.round(2).tolist(),
        "y": [below] * len(defined),
        "text": [_name(name) for name, _ in defined],
        "marker": {"symbol": "line-ns-open", "size": 12, "color": _LINE, "opacity": opacity},
        "hovertemplate": "%{text}: %{x:.1f} channels<extra></extra>",
    }
    layout = {
        "xaxis": {"title": {"text": "active channels (mean of a class)"}, "rangemode": "nonnegative"},
        "yaxis": {"title": {"text": "density over classes"}, "showticklabels": False},
        "showlegend": False,
    }
    data = [rug] if curve is None else [_area(*curve), rug]
    summary = _activity_words(values, len(activity) - len(defined), threshold)
    return Chart(title="Channel activity", figure={"data": data, "layout": layout}, summary=summary)


def _name(name: str) -> str:
    return escape(name if len(name) <= MAX_NAME else name[: MAX_NAME - 1] + "…")


def _area(x: FloatArray, y: FloatArray) -> Figure:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x[::2].round(3).tolist(),
        "y": [float(f"{v:.4g}") for v in y[::2]],
        "line": {"color": _LINE, "width": 2},
        "fill": "tozeroy",
        "fillcolor": BAND,
        "hoverinfo": "skip",
    }


def _activity_words(values: FloatArray, undefined: int, threshold: float | None) -> str:
    low, middle, high = (float(v) for v in np.quantile(values, [0, 0.5, 1]))
    finding = f"The median class activates {middle:.1f} channels (range {low:.1f} to {high:.1f})."
    if high - low < 0.05:
        finding = f"{middle:.1f} channels are active for every class."
    counted = "" if threshold is None else f" A channel is active when it exceeds {threshold:g} after pooling."
    left_out = f" Left out for want of a correctly classified image: {undefined} of them." if undefined else ""
    return f"{finding}{counted} Each stroke is a class.{left_out}"
