"""A model's figures through its versions, as charts: the gate's method with its interval, the others as thin lines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from case_monitor.dashboard.pages.model.record import By, Mark, Model, Point, Series
from case_monitor.dashboard.parts.charts import (
    BAND,
    Figure,
    limit_line,
    method_colour,
    method_symbol,
    plotly_text,
    rounded,
)
from case_monitor.domain.methods import method_title
from case_monitor.domain.metric import Metric, Unit
from case_monitor.domain.metrics import row_of
from case_monitor.domain.promotion import Decision

Trace = dict[str, object]

_WITH_REASONS = ("accuracy", "agreement_median")  # in all charts they would be half of the page
CROWDED = 60
"""Points from which on they are drawn smaller, and without bars: what a bar says is in the hover text."""

_MARK_LOOKS = {
    Decision.PROMOTED: ("promoted", "triangle-up", "var(--pass)"),
    Decision.WITHHELD: ("withheld", "x", "var(--fail)"),
    Decision.OVERRIDDEN: ("overridden", "triangle-up-open", "var(--fail)"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a metric is drawn: whether in per cent, d3's format of its values, and what its y axis is fixed to."""

    is_share: bool
    number_format: str
    tick_format: str
    bounds: tuple[float, float] | None

    @classmethod
    def of(cls, metric: Metric) -> "Look":
        """As its row of the catalogue says."""
        is_share = metric.unit is Unit.SHARE
        formats = (".1%", ".0%") if is_share else (".3f", ".2f")
        bounds = (metric.low, metric.high) if metric.whole_range else None
        return cls(is_share=is_share, number_format=formats[0], tick_format=formats[1], bounds=bounds)


def quality_figure(model: Model, metric: str, root: str) -> Figure | None:
    """One metric along versions or time; None where it is undefined everywhere.

    Args:
        model: what is shown.
        metric: of the model itself, or of its saliency methods.
        root: what addresses begin with.
    """
    look = Look.of(row_of(metric))
    series = [s for s in model.series if s.metric == metric and any(v is not None for v in s.value)]
    if not series:
        return None
    draw = _Drawing(model, look, root, with_reasons=metric in _WITH_REASONS)
    main = next((s for s in series if s.method in {"", model.gate_method}), None)
    order = {method: place for place, method in enumerate(model.methods)}
    others = sorted((s for s in series if s is not main), key=lambda s: order.get(s.method, len(order)))
    data = [draw.thin(s) for s in others]
    if main is not None:
        data = [*draw.band(main), *data, *draw.main(main)]
    return {"data": [*data, *draw.marks()], "layout": _layout(model, metric, look)}


class _Drawing:
    """Traces over the points of a model.

    Along the time, versions that were candidates are between nights of the version in production: the line is that
    of production, and candidates are dots.
    """

    def __init__(self, model: Model, look: Look, root: str, *, with_reasons: bool) -> None:
        self._model, self._look, self._root, self._with_reasons = model, look, root, with_reasons
        points = model.points
        self._crowded = len(points) > CROWDED
        self._size, self._small, self._mark = (4.0, 2.5, 6.0) if self._crowded else (8.0, 5.0, 10.0)
        self._x = [_x(point, model.chosen.by) for point in points]
        apart = model.chosen.by is By.TIME and any(point.in_production for point in points)
        self._line = [i for i, point in enumerate(points) if point.in_production or not apart]
        self._dots = [i for i, point in enumerate(points) if apart and not point.in_production]

    def thin(self, series: Series) -> Trace:
        """A method that the gate does not look at."""
        at = self._line
        return {
            **self._values(series, at),
            "name": method_title(series.method),
            "mode": "lines+markers" if len(at) > 1 else "markers",
            "opacity": 0.75,
            "line": {"width": 1, "color": method_colour(series.method)},
            "marker": {
                "size": self._small,
                "color": method_colour(series.method),
                "symbol": method_symbol(series.method),
            },
            "customdata": [self._address(self._model.points[i].evaluation_id) for i in at],
            "hovertemplate": f"{self._where()}: %{{y:{self._look.number_format}}}",
        }

    def main(self, series: Series) -> Iterator[Trace]:
        """The gate's method, or a figure of the model itself; candidates by themselves."""
        name = method_title(series.method) if series.method else "the model"
        symbol = method_symbol(series.method)
        if self._line:
            yield {**self._emphasised(series, self._line), "name": name, "mode": "lines+markers"} | {
                "line": {"width": 2.5, "color": method_colour(series.method or "case")},
                "marker": {"size": self._size, "color": method_colour(series.method or "case"), "symbol": symbol},
            }
        if self._dots:
            yield (
                {**self._emphasised(series, self._dots), "name": f"{name}, candidates", "mode": "markers"}
                | {
                    "marker": {
                        "size": self._size,
                        "color": method_colour(series.method or "case"),
                        "symbol": "circle-open",
                    },
                }
                | ({} if self._crowded else {"error_y": self._bars(series, self._dots)})
            )

    def band(self, series: Series) -> Iterator[Trace]:
        """The interval as an area, in a piece for each stretch without a gap."""
        x: list[object] = []
        y: list[float | None] = []
        for run in _runs(series, self._line):
            if len(run) > 1:
                gap = [None] if x else []
                x += [*gap, *(self._x[i] for i in run), *(self._x[i] for i in reversed(run))]
                y += [*gap, *(rounded(series.ci_high[i]) for i in run)]
                y += [rounded(series.ci_low[i]) for i in reversed(run)]
        if x:
            yield {
                "type": "scatter",
                "x": x,
                "y": y,
                "mode": "lines",
                "line": {"width": 0},
                "fill": "toself",
                "fillcolor": BAND,
                "hoverinfo": "skip",
                "name": f"{self._level()}interval",
            }

    def marks(self) -> Iterator[Trace]:
        """What was decided, at the foot of the chart."""
        for decision, (name, symbol, colour) in _MARK_LOOKS.items():
            marks = [mark for mark in self._model.marks if mark.decision is decision]
            if marks:
                yield {
                    "type": "scatter",
                    "mode": "markers",
                    "name": name,
                    "x": [_mark_x(mark, self._model.chosen.by) for mark in marks],
                    "y": [0.03] * len(marks),
                    "yaxis": "y2",
                    "marker": {"symbol": symbol, "size": self._mark, "color": colour},
                    "customdata": [[self._decided(mark), self._address(mark.evaluation_id)] for mark in marks],
                    "hovertemplate": "%{customdata[0]}<extra></extra>",
                }

    def _values(self, series: Series, at: Sequence[int]) -> Trace:
        return {"type": "scatter", "x": [self._x[i] for i in at], "y": [rounded(series.value[i]) for i in at]}

    def _emphasised(self, series: Series, at: Sequence[int]) -> Trace:
        alone = [i for run in _runs(series, at) if len(run) == 1 for i in run]
        points = self._model.points
        written = f"{self._where('%{customdata[1]}')}: %{{y:{self._look.number_format}}}%{{customdata[2]}}"
        trace = {
            **self._values(series, at),
            "customdata": [
                [
                    points[i].verdict,
                    points[i].version,
                    self._interval(series, i),
                    self._address(points[i].evaluation_id),
                ]
                for i in at
            ],
            "hovertemplate": written + "<br>verdict: %{customdata[0]}",
        }
        return trace | ({"error_y": self._bars(series, at, alone)} if alone else {})

    def _interval(self, series: Series, i: int) -> str:
        low, high = series.ci_low[i], series.ci_high[i]
        if low is None or high is None:
            return ""
        if not self._look.is_share:
            return f" [{low:+.3f}, {high:+.3f}]"
        return f" [{low:.1%}, {high:.1%}]"

    def _bars(self, series: Series, at: Sequence[int], only: Sequence[int] | None = None) -> Trace:
        """Intervals as bars, where there is nothing to spread an area between."""
        up: list[float | None] = []
        down: list[float | None] = []
        for i in at:
            value, low, high = series.value[i], series.ci_low[i], series.ci_high[i]
            known = value is not None and low is not None and high is not None and (only is None or i in only)
            up.append(rounded(high - value) if known else None)  # type: ignore[operator]  # known: none is None
            down.append(rounded(value - low) if known else None)  # type: ignore[operator]  # known: none is None
        bars = {"type": "data", "symmetric": False, "array": up, "arrayminus": down}
        return {**bars, "thickness": 1.5, "width": 4}

    def _where(self, version: str = "%{x}") -> str:
        return f"version {version}" if self._model.chosen.by is By.VERSION or version != "%{x}" else "%{x}"

    def _decided(self, mark: Mark) -> str:
        done = "" if mark.applied or mark.decision is Decision.WITHHELD else " (the alias was not moved yet)"
        reason = plotly_text(mark.reason, most=160) if self._with_reasons else ""
        return f"version {mark.version} {mark.decision.value}{done}" + (f"<br>{reason}" if reason else "")

    def _address(self, evaluation_id: int) -> str:
        return f"{self._root}/evaluation/{evaluation_id}"

    def _level(self) -> str:
        level = self._model.confidence_level
        return "" if level is None else f"{level:.0%} "


def _runs(series: Series, at: Sequence[int]) -> list[list[int]]:
    """Stretches of points whose interval is defined."""
    runs: list[list[int]] = [[]]
    for i in at:
        if series.value[i] is None or series.ci_low[i] is None or series.ci_high[i] is None:
            runs.append([])
        else:
            runs[-1].append(i)
    return [run for run in runs if run]


def _x(point: Point, by: By) -> int | str:
    return point.version if by is By.VERSION else f"{point.at:%Y-%m-%dT%H:%M:%SZ}"


def _mark_x(mark: Mark, by: By) -> int | str:
    return mark.version if by is By.VERSION else f"{mark.at:%Y-%m-%dT%H:%M:%SZ}"


def _limit_words(limit: float, look: Look) -> str:
    return f"limit {100 * limit:g}%" if look.is_share else f"limit {limit:g}"


def _layout(model: Model, metric: str, look: Look) -> Figure:
    of = [point.version for point in model.points]
    versions: Figure = {"tickformat": "d", "dtick": max(1, (max(of) - min(of)) // 10)}
    if len(of) < 9:
        versions |= {"tickmode": "array", "tickvals": of, "ticktext": [f"v{version}" for version in of]}
    axis: Figure = {"tickformat": look.tick_format, "zeroline": not look.is_share}
    axis |= {"range": list(look.bounds)} if look.bounds else {"rangemode": "normal"}
    foot = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
    limit = model.limits.get(metric)
    drawn = {} if limit is None else limit_line(limit, _limit_words(limit, look))
    along = versions if model.chosen.by is By.VERSION else {"type": "date"}
    return {"xaxis": along, "yaxis": axis, "yaxis2": foot, "hovermode": "closest", "showlegend": True, **drawn}
